"""Heads that classify every position of one feature: a 1x1 convolution, alone or after fc6 and fc7."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax

from ppool_jax.models.dropout import ExampleDropout
from ppool_jax.models.network import classify_pixels


class LinearHead(nn.Module):
  """A 1x1 convolution to class scores.

  Attributes:
    num_classes: of the scores.
    dtype: of the computation.
  """

  num_classes: int
  dtype: Any = None

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = False, example_index: jax.Array | None = None) -> jax.Array:
    """Computes float32 `[N, h, w, num_classes]` from x `[N, h, w, C]`; other arguments are unused."""
    return classify_pixels(x, self.num_classes, self.dtype)


class FullyConvolutionalHead(nn.Module):
  """fc6 (3x3) and fc7 (1x1) as convolutions with ReLU and dropout, then a 1x1 classifier.

  The head of DeepLab-LargeFOV's VGG16-20M without dilation, as in the networks of P-pooling's authors, with
  1024 channels each.

  Attributes:
    num_classes: of the scores.
    features: channels of fc6 and fc7.
    dropout: rate of dropout.
    dtype: of the computation.
  """

  num_classes: int
  features: int = 1024
  dropout: float = 0.5
  dtype: Any = None

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = False, example_index: jax.Array | None = None) -> jax.Array:
    """Computes class scores.

    Args:
      x: `[N, h, w, C]`.
      train: whether dropout is on (a "dropout" key).
      example_index: int `[N]`, index of each example in the global batch, for dropout.

    Returns:
      float32 `[N, h, w, num_classes]`.
    """
    for name, window in (("fc6", (3, 3)), ("fc7", (1, 1))):
      conv = nn.Conv(
        self.features, window, dtype=self.dtype, kernel_init=nn.initializers.he_normal(), name=name
      )
      x = ExampleDropout(self.dropout, name=f"{name}_dropout")(nn.relu(conv(x)), train, example_index)
    return classify_pixels(x, self.num_classes, self.dtype)

"""Heads: from a backbone's features to class scores at the same resolution."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppool_jax.models.dropout import ExampleDropout

_SMALL = nn.initializers.normal(0.01)


class LinearHead(nn.Module):
  """A 1x1 classifier: `[N, h, w, C]` to float32 `[N, h, w, num_classes]`."""

  num_classes: int
  dtype: Any = None

  @nn.compact
  def __call__(self, x, train: bool = False, places=None) -> jax.Array:
    return classify_pixels(x, self.num_classes, self.dtype)


class FullyConvolutionalHead(nn.Module):
  """fc6 (3x3) and fc7 (1x1) as convolutions with dropout, then the classifier.

  VGG16-20M of DeepLab-LargeFOV without dilation, as in the authors' networks: 1024 filters each.
  """

  num_classes: int
  features: int = 1024
  dropout: float = 0.5
  dtype: Any = None

  @nn.compact
  def __call__(self, x, train: bool = False, places=None) -> jax.Array:
    for name, window in (("fc6", (3, 3)), ("fc7", (1, 1))):
      conv = nn.Conv(
        self.features, window, dtype=self.dtype, kernel_init=nn.initializers.he_normal(), name=name
      )
      x = ExampleDropout(self.dropout, name=f"{name}_dropout")(nn.relu(conv(x)), train, places)
    return classify_pixels(x, self.num_classes, self.dtype)


def classify_pixels(x, num_classes: int, dtype, name: str = "classifier", init=_SMALL) -> jax.Array:
  """A 1x1 classifier with float32 scores, as a submodule of the head that calls it."""
  scores = nn.Conv(num_classes, (1, 1), dtype=dtype, kernel_init=init, name=name)(x)
  return scores.astype(jnp.float32)

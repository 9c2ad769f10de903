"""Atrous spatial pyramid pooling, the head of DeepLabV3 (Chen et al., 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppool_jax.models.dropout import ExampleDropout
from ppool_jax.models.network import Network, classify_pixels


class ASPP(Network, kw_only=True):
  """Parallel branches of different dilation and image pooling, then a classifier.

  The branches are a 1x1 convolution, dilated 3x3 convolutions, and the mean over all positions with a 1x1
  convolution, each with 256 channels, batch norm and ReLU. Their concatenation goes through a 1x1
  convolution with 256 channels, batch norm and ReLU, dropout, and the 1x1 classifier.

  The image pooling branch, "image_pool", has one value per example and channel. In training with
  `norm="local"` and one example per device, or with one example in all, batch norm removes everything but
  its bias; use "sync" with more examples, or "frozen".

  Source: model.py of tensorflow/models research/deeplab, whose dropout keeps 0.9 of the units.

  Attributes:
    num_classes: of the scores.
    rates: dilations of the 3x3 convolutions; the paper's (6, 12, 18) are those of output stride 16, and
      are doubled at 8.
  """

  num_classes: int
  rates: Sequence[int] = (6, 12, 18)

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = False, example_index: jax.Array | None = None) -> jax.Array:
    """Computes class scores.

    Args:
      x: `[N, h, w, C]`.
      train: whether dropout is on (a "dropout" key) and batch norm uses the batch's statistics
        (collection "batch_stats" mutable).
      example_index: int `[N]`, index of each example in the global batch, for dropout.

    Returns:
      float32 `[N, h, w, num_classes]`.
    """
    branches = [self._unit(x, 1, "aspp1x1", train)]
    for i, rate in enumerate(self.rates, 1):
      branches.append(self._unit(x, 3, f"aspp_rate{i}", train, dilation=rate))
    mean = self._unit(x.mean((1, 2), keepdims=True), 1, "image_pool", train)
    branches.append(jnp.broadcast_to(mean, branches[0].shape))
    y = self._unit(jnp.concatenate(branches, -1), 1, "project", train)
    y = ExampleDropout(0.1, name="dropout")(y, train, example_index)
    return classify_pixels(y, self.num_classes, self.dtype)

  def _unit(self, x, size: int, name: str, train: bool, dilation: int = 1) -> jax.Array:
    """Convolution, batch norm and ReLU."""
    x = self.conv(x, self.channels(256), size, name, dilation=dilation)
    return nn.relu(self.normalize(x, f"{name}_norm", train))

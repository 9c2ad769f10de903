"""The head of DeepLabV3 (Chen et al., 2017): atrous spatial pyramid pooling."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppool_jax.models.dropout import ExampleDropout
from ppool_jax.models.heads.classifiers import classify_pixels
from ppool_jax.models.network import Network


class ASPP(Network, kw_only=True):
  """Views of a feature at several scales and its mean, then a classifier: `[N, h, w, C]` to scores.

  A 1x1 convolution, 3x3 ones with dilation and the mean over all positions with a 1x1 convolution,
  each to 256 channels with batch norm and ReLU; concatenated, a 1x1 convolution to 256 channels with
  batch norm and ReLU, dropout, and the 1x1 classifier.

  The branch of the mean, "image_pool", has one value an example and channel. In training its statistics
  are the batch's: with `norm="local"` and one example a device, or one example in all, normalising
  leaves nothing of it but the bias; take "sync" with more, or "frozen".

  Source: model.py of tensorflow/models research/deeplab, whose dropout keeps 0.9 of the units.

  Attributes:
    num_classes: of the scores.
    rates: the dilations; the paper's (6, 12, 18) are those of output stride 16, doubled at 8.
  """

  num_classes: int
  rates: Sequence[int] = (6, 12, 18)

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = False, places: jax.Array | None = None) -> jax.Array:
    """Class scores at the feature's resolution.

    Args:
      x: `[N, h, w, C]`.
      train: whether dropout is on (a "dropout" key) and batch norm takes the batch's statistics
        (collection "batch_stats" mutable).
      places: int `[N]`, the examples' places in the global batch, for dropout.

    Returns:
      float32 `[N, h, w, num_classes]`.
    """
    views = [self._unit(x, 1, "aspp1x1", train)]
    for i, rate in enumerate(self.rates, 1):
      views.append(self._unit(x, 3, f"aspp_rate{i}", train, dilation=rate))
    mean = self._unit(x.mean((1, 2), keepdims=True), 1, "image_pool", train)
    views.append(jnp.broadcast_to(mean, views[0].shape))
    y = self._unit(jnp.concatenate(views, -1), 1, "project", train)
    y = ExampleDropout(0.1, name="dropout")(y, train, places)
    return classify_pixels(y, self.num_classes, self.dtype)

  def _unit(self, x, size: int, name: str, train: bool, dilation: int = 1):
    x = self.conv(x, self.channels(256), size, name, dilation=dilation)
    return nn.relu(self.normalise(x, f"{name}_norm", train))

"""VGG16-20M, the trunk of DeepLab-LargeFOV (Chen et al., 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax

from ppool_jax.models.backbones.vgg import VGG
from ppool_jax.models.classifier import classify
from ppool_jax.models.grid import Grid
from ppool_jax.models.pool_slots import CountingAvgPool, Site, apply_pool


class VGG20M(VGG, kw_only=True):
  """VGG16-20M: VGG-16 whose pools are 3x3 and which goes on with a pool5a, fc6 (3x3, dilated) and fc7.

  Features are those of `VGG` and "pool5a" (an average of 3x3, stride 1), "fc6" and "fc7". At output
  stride 16 pool4 keeps its stride; at 8, as in the original, it has stride 1 and conv5 dilation 2. The
  original keeps pool5, pool5a undilated after a removed stride, and fc6's dilation follows the output
  stride (12 at 8, 6 at 16: the same field of view): features at 8 are not those at 16 at more positions.
  Caffe's pools round up; sizes of 32 k + 1 (321, 513) give the same cells here and there.

  Source: the deploy prototxt of DeepLab-LargeFOV (TheLegendAli/DeepLab-Context, config/DeepLab-LargeFOV).
  """

  stages: Sequence[tuple[int, int]] = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
  pool_strides: Sequence[int | None] = (2, 2, 2, 2, 1)

  @property
  def sites(self) -> tuple[Site, ...]:
    pools = (Site(f"pool{s}", 3, stride, (1, 1)) for s, stride in enumerate(self.pool_strides, 1))
    return (*pools, Site("pool5a", 3, 1, (1, 1), published=CountingAvgPool))

  @property
  def last(self) -> str:
    return "fc7"

  @property
  def grids(self) -> dict[str, Grid]:
    grids = super().grids
    # Windows of 3 padded by 1 move no centre: the rest of the trunk shares pool5's cells.
    return grids | dict.fromkeys(("pool5a", "fc6", "fc7"), grids["pool5"])

  @property
  def multiple(self) -> int:
    return self.grids["fc7"].stride

  def _pooled(self, x, site: Site, grid: Grid):
    stride = self._after(grid, site).stride // grid.stride
    return apply_pool(self.pool, site, x, stride)

  @nn.compact
  def __call__(self, images: jax.Array, train: bool = False, places: jax.Array | None = None):
    """As of `VGG`; logits are the mean over the positions, as no classifier was published."""
    features = self._features(images, train)
    x = features["pool5a"] = apply_pool(self.pool, self.sites[-1], features["pool5"])
    rate = 12 * 8 // self.grids["pool5"].stride
    x = features["fc6"] = self._dense(x, 1024, 3, "fc6", train, places, dilation=rate)
    x = features["fc7"] = self._dense(x, 1024, 1, "fc7", train, places)
    return features if self.num_classes is None else classify(x, self.num_classes, self.dtype)

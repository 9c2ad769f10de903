"""VGG16-20M, the backbone of DeepLab-LargeFOV (Chen et al., 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax

from ppool_jax.models.backbones.vgg import VGG
from ppool_jax.models.grid import Grid
from ppool_jax.models.pool_slots import CountIncludePadAvgPool, PoolSlot, apply_pool


class VGG20M(VGG, kw_only=True):
  """VGG-16 with 3x3 pools, followed by pool5a, a dilated 3x3 fc6 and a 1x1 fc7.

  The features are those of `VGG` and "pool5a" (a 3x3 average of stride 1), "fc6" and "fc7". At output
  stride 16 pool4 has its stride; at 8, as in the original, it has stride 1 and conv5 has dilation 2.

  As in the original, pool5 and pool5a are not dilated after a removed stride, and the dilation of fc6
  depends on the output stride (12 at 8, 6 at 16: the same field of view). Features at 8 are therefore not
  those at 16 at more positions. Caffe rounds the sizes of pools up; image sizes of 32 k + 1 (321, 513) give
  the same sizes in both.

  Source: the deploy prototxt of DeepLab-LargeFOV (TheLegendAli/DeepLab-Context, config/DeepLab-LargeFOV).
  """

  stages: Sequence[tuple[int, int]] = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
  pool_strides: Sequence[int | None] = (2, 2, 2, 2, 1)

  @property
  def pool_slots(self) -> tuple[PoolSlot, ...]:
    pools = (
      PoolSlot(f"pool{s}", 3, stride, (1, 1)) for s, stride in enumerate(self.pool_strides, 1) if stride
    )
    return (*pools, PoolSlot("pool5a", 3, 1, (1, 1), published=CountIncludePadAvgPool))

  @property
  def last_feature(self) -> str:
    return "fc7"

  @property
  def grids(self) -> dict[str, Grid]:
    grids = super().grids
    # Windows of 3 with padding 1 move no center: the layers that follow pool5 share its grid.
    return grids | dict.fromkeys(("pool5a", "fc6", "fc7"), grids["pool5"])

  @property
  def size_divisor(self) -> int:
    return self.grids["fc7"].stride

  def _pool(self, x, slot: PoolSlot, grid: Grid) -> jax.Array:
    stride = self.grid_after(grid, slot).stride // grid.stride
    return apply_pool(self.pool, slot, x, stride)

  @nn.compact
  def __call__(
    self, images: jax.Array, train: bool = False, example_index: jax.Array | None = None
  ) -> dict[str, jax.Array] | jax.Array:
    """Like `VGG`; no classifier was published, so `num_classes` adds a dense layer on the mean of fc7."""
    features = self._features(images, train)
    x = features["pool5a"] = apply_pool(self.pool, self.pool_slots[-1], features["pool5"])
    rate = 12 * 8 // self.grids["pool5"].stride
    x = features["fc6"] = self._dense(x, 1024, 3, "fc6", train, example_index, dilation=rate)
    features["fc7"] = self._dense(x, 1024, 1, "fc7", train, example_index)
    return self.output(features)

"""The interface of all backbones, and what they compute from their pool slots."""

from __future__ import annotations

import jax

from ppool_jax.models.grid import Grid
from ppool_jax.models.network import Network, classify_image
from ppool_jax.models.pool_slots import PoolChoice, PoolSlot, grid_after, is_strided


class Backbone(Network, kw_only=True):
  """A network that returns its features by name, or, with `num_classes`, class scores.

  `backbone(images [N, H, W, 3], train=False, example_index=None)` takes preprocessed images.

  Attributes:
    pool: the pools of the slots; see `PoolChoice`.
    output_stride: the largest stride. Larger strides are removed and the layers that follow are dilated;
      pools stay, with stride 1.
    num_classes: None, or the number of classes of the published classifier, which the network then ends in.
  """

  pool: PoolChoice = None
  output_stride: int | None = 32
  num_classes: int | None = None

  @property
  def pool_slots(self) -> tuple[PoolSlot, ...]:
    """Every place that takes a pool, in the order of the layers."""
    raise NotImplementedError

  @property
  def last_feature(self) -> str:
    """The name of the last feature."""
    raise NotImplementedError

  @property
  def grids(self) -> dict[str, Grid]:
    """The sampling grid of every feature."""
    raise NotImplementedError

  @property
  def size_divisor(self) -> int:
    """Image sides must be multiples of this number for every stride and dilation to divide them evenly."""
    return max(grid.stride for grid in self.grids.values())

  def is_strided(self, slot: PoolSlot) -> bool:
    """Whether a slot has no pool because the layer before it has the stride."""
    return is_strided(self.pool, slot)

  def grid_after(self, grid: Grid, slot: PoolSlot) -> Grid:
    """The sampling grid of a slot's output, given that of its input."""
    return grid_after(grid, self.pool, slot, self.output_stride)

  def output(self, features: dict[str, jax.Array]) -> dict[str, jax.Array] | jax.Array:
    """The features, or, with `num_classes`, float32 logits `[N, num_classes]` of the last one."""
    if self.num_classes is None:
      return features
    return classify_image(features[self.last_feature], self.num_classes, self.dtype)

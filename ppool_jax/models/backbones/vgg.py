"""VGG (Simonyan and Zisserman, 2015): stages of 3x3 convolutions, each followed by a pool."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence

import flax.linen as nn
import jax

from ppool_jax.models.backbones.backbone import Backbone
from ppool_jax.models.dropout import ExampleDropout
from ppool_jax.models.grid import Grid
from ppool_jax.models.network import classify_image
from ppool_jax.models.pool_slots import PoolSlot, apply_pool, check_pool


class VGG(Backbone, kw_only=True):
  """Stages of 3x3 convolutions, each followed by a 2x2 pool, which may be any pool.

  The convolutions' parameters are `conv<stage>_<number>`; those of a pool are under `pool<stage>`. Where
  the pool is "strided" the last convolution of the stage has the stride, and "pool<s>" equals "conv<s>".

  At a smaller output stride the features are those of the strided network at more positions.

  Attributes:
    stages: (channels, number of convolutions) of each stage.
    pool_strides: stride of each stage's pool; None: the stage has no pool.
    output_stride: a product of the first pools' strides; None: of all.
    num_classes: None, or the number of classes of the published classifier (fc6, fc7 and a dense layer).
    batch_norm: whether batch norm replaces the convolutions' biases, for training from scratch.
  """

  stages: Sequence[tuple[int, int]]
  pool_strides: Sequence[int | None]
  output_stride: int | None = None
  batch_norm: bool = False

  @property
  def pool_slots(self) -> tuple[PoolSlot, ...]:
    strides = enumerate(self.pool_strides, 1)
    # A pool of stride 1 preserves the size: its last windows are partial.
    return tuple(PoolSlot(f"pool{s}", 2, stride) for s, stride in strides if stride)

  @property
  def last_feature(self) -> str:
    return f"pool{len(self.stages)}" if self.pool_strides[-1] else f"conv{len(self.stages)}"

  @property
  def grids(self) -> dict[str, Grid]:
    grid, grids = Grid(), {}
    for s in range(1, len(self.stages) + 1):
      slot = self._slot(s)
      pooled = self.grid_after(grid, slot) if slot else grid
      grids[f"conv{s}"] = pooled if slot and self.is_strided(slot) else grid
      if slot:
        grid = grids[slot.name] = pooled
    return grids

  @property
  def size_divisor(self) -> int:
    grids = self.grids
    pooled = (grids[slot.name.replace("pool", "conv")].size_divisor for slot in self.pool_slots)
    return max(super().size_divisor, *pooled)

  def _slot(self, stage: int) -> PoolSlot | None:
    return {slot.name: slot for slot in self.pool_slots}.get(f"pool{stage}")

  @nn.compact
  def __call__(
    self, images: jax.Array, train: bool = False, example_index: jax.Array | None = None
  ) -> dict[str, jax.Array] | jax.Array:
    """Computes the features, or class scores.

    Args:
      images: `[N, H, W, 3]`, preprocessed.
      train: whether batch norm uses the batch's statistics (collection "batch_stats" mutable) and
        dropout is on (a "dropout" key).
      example_index: int `[N]`, index of each example in the global batch, for dropout.

    Returns:
      "conv<s>", the last activation of stage s, and "pool<s>", where the stage has a pool:
      `[N, H_s, W_s, C_s]`. With `num_classes`, float32 logits `[N, num_classes]`.

    Raises:
      ValueError: `pool` names a slot that does not exist; an output stride that no stage has.
    """
    features = self._features(images, train)
    if self.num_classes is None:
      return features
    return self._classify(features[self.last_feature], self.num_classes, train, example_index)

  def _features(self, images: jax.Array, train: bool) -> dict[str, jax.Array]:
    check_pool(self.pool, self.pool_slots)
    strides = (slot.stride for slot in self.pool_slots)
    reached = sorted(set(itertools.accumulate(strides, operator.mul, initial=1)))
    if self.output_stride not in (None, *reached):
      raise ValueError(f"output_stride: expected one of {reached}, got {self.output_stride}")
    grid, x, features = Grid(), images, {}
    for s, (channels, depth) in enumerate(self.stages, 1):
      slot = self._slot(s)
      pooled = self.grid_after(grid, slot) if slot else grid
      strided = slot is not None and self.is_strided(slot)
      for i in range(1, depth + 1):
        stride = pooled.stride // grid.stride if strided and i == depth else 1
        x = self._convolution(x, channels, f"{s}_{i}", stride, grid.dilation, train)
      features[f"conv{s}"] = x
      if slot:
        x = features[slot.name] = x if strided else self._pool(x, slot, grid)
      grid = pooled
    return features

  def _convolution(self, x, channels: int, number: str, stride: int, dilation: int, train: bool):
    count, bias = self.channels(channels), not self.batch_norm
    x = self.conv(x, count, 3, f"conv{number}", stride=stride, dilation=dilation, bias=bias)
    return nn.relu(self.normalize(x, f"norm{number}", train) if self.batch_norm else x)

  def _pool(self, x, slot: PoolSlot, grid: Grid) -> jax.Array:
    stride = self.grid_after(grid, slot).stride // grid.stride
    return apply_pool(self.pool, slot, x, stride, grid.dilation)

  def _classify(self, x, num_classes: int, train: bool, example_index: jax.Array | None) -> jax.Array:
    """fc6 and fc7 are convolutions, so that larger images are classified at every position."""
    rate = self.grids[self.last_feature].dilation
    x = self._dense(x, 4096, 7, "fc6", train, example_index, dilation=rate, padding=0)
    x = self._dense(x, 4096, 1, "fc7", train, example_index)
    return classify_image(x, num_classes, self.dtype)

  def _dense(self, x, count: int, size: int, name: str, train: bool, example_index, **options) -> jax.Array:
    x = nn.relu(self.conv(x, self.channels(count), size, name, bias=True, **options))
    return ExampleDropout(0.5, name=f"{name}_dropout")(x, train, example_index)

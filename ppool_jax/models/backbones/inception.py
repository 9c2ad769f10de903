"""BN-Inception (Ioffe and Szegedy, 2015), "InceptionV2", with pools in place of its strides and pools."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppool_jax.models.backbones.backbone import Backbone
from ppool_jax.models.grid import Grid
from ppool_jax.models.pool_slots import CountIncludePadAvgPool, PoolSlot, apply_pool, check_pool


class _Block(NamedTuple):
  """Channels of a block's branches; in blocks without `one` and `projection` the others have stride 2."""

  one: int
  three: tuple[int, int]
  double: tuple[int, int]
  projection: int
  pool: str | Callable[..., nn.Module] = CountIncludePadAvgPool


_BLOCKS = {
  "3a": _Block(64, (64, 64), (64, 96), 32),
  "3b": _Block(64, (64, 96), (64, 96), 64),
  "3c": _Block(0, (128, 160), (64, 96), 0, "max"),
  "4a": _Block(224, (64, 96), (96, 128), 128),
  "4b": _Block(192, (96, 128), (96, 128), 128),
  "4c": _Block(160, (128, 160), (128, 160), 128),
  "4d": _Block(96, (128, 192), (160, 192), 128),
  "4e": _Block(0, (128, 192), (192, 256), 0, "max"),
  "5a": _Block(352, (192, 320), (160, 224), 128),
  "5b": _Block(352, (192, 320), (192, 224), 128, "max"),
}


def _pool_slots() -> dict[str, PoolSlot]:
  slots = [
    PoolSlot("pool0", 3, 2, (1, 1), "strided"),  # after conv1
    *(PoolSlot(name, 3, 2, ceil=True) for name in ("pool1", "pool2")),
  ]
  for name, block in _BLOCKS.items():
    if block.one:
      slots.append(PoolSlot(f"pool_{name}", 3, 1, (1, 1), block.pool))
      continue
    # A window of 3 is centered where the strided convolution that it replaces samples its input.
    slots += [PoolSlot(f"pool_{name}_{branch}", 3, 2, (1, 1), "strided") for branch in ("3x3", "double_3x3")]
    slots.append(PoolSlot(f"pool_{name}", 3, 2, published=block.pool, ceil=True))
  return {slot.name: slot for slot in slots}


_SLOTS = _pool_slots()


class InceptionV2(Backbone, kw_only=True):
  """BN-Inception, in which pools may replace the strides.

  Pool slots: "pool1" and "pool2", and "pool_3a" .. "pool_5b" of the blocks, which are pools in the
  published network, most of them averages of stride 1; and the strided convolutions, which have stride 1
  and a 3x3 pool of stride 2 after their ReLU unless the pool is "strided": "pool0" after conv1,
  "pool_3c_3x3", "pool_3c_double_3x3" and the same of 4e. No pool has negative inputs.

  Parameters have Caffe's names with underscores, such as `inception_3a_3x3_reduce` and its batch norm
  `inception_3a_3x3_reduce_norm`; convolutions have no bias. Odd sides are halved rounding up; the branches
  of the published network do not fit together there.

  Source: pretrainedmodels 0.7.4, models/bninception.py, a port of the Caffe model.

  Attributes:
    output_stride: 32.
  """

  @property
  def pool_slots(self) -> tuple[PoolSlot, ...]:
    return tuple(_SLOTS.values())

  @property
  def last_feature(self) -> str:
    return "inception_5b"

  @property
  def grids(self) -> dict[str, Grid]:
    """The sampling grid of every feature; that of a block is the grid of its convolutions."""
    pool0 = _SLOTS["pool0"]
    first = self.grid_after(Grid(), pool0)
    grids = {"conv1_7x7_s2": first if self.is_strided(pool0) else Grid(), "pool0": first}
    grids["pool1"] = grids["conv2_3x3"] = self.grid_after(first, _SLOTS["pool1"])
    grid = grids["pool2"] = self.grid_after(grids["pool1"], _SLOTS["pool2"])
    for name, block in _BLOCKS.items():
      grid = grid if block.one else self.grid_after(grid, _SLOTS[f"pool_{name}_3x3"])
      grids[f"inception_{name}"] = grid
    return grids

  @nn.compact
  def __call__(
    self, images: jax.Array, train: bool = False, example_index: jax.Array | None = None
  ) -> dict[str, jax.Array] | jax.Array:
    """Computes the features, or class scores.

    Args:
      images: `[N, H, W, 3]`, preprocessed.
      train: whether batch norm uses the batch's statistics (collection "batch_stats" mutable).
      example_index: unused; part of the interface of all backbones.

    Returns:
      "conv1_7x7_s2", "pool0" unless it is strided, "pool1", "conv2_3x3", "pool2", "inception_3a" ..
      "inception_5b": `[N, H_s, W_s, C_s]`. With `num_classes`, float32 logits `[N, num_classes]`.

    Raises:
      ValueError: `pool` names a slot that does not exist; an output stride other than 32.
    """
    check_pool(self.pool, self.pool_slots)
    if self.output_stride != 32:
      raise ValueError(
        f"output_stride: expected 32, as FCN-8s reads features of all strides, got {self.output_stride}"
      )
    pool0, features = _SLOTS["pool0"], {}
    stride = 2 if self.is_strided(pool0) else 1
    x = features["conv1_7x7_s2"] = self._unit(images, 64, 7, "conv1_7x7_s2", train, stride)
    if not self.is_strided(pool0):
      x = features["pool0"] = self._pool(x, pool0)
    x = features["pool1"] = self._pool(x, _SLOTS["pool1"])
    x = self._unit(x, 64, 1, "conv2_3x3_reduce", train)
    x = features["conv2_3x3"] = self._unit(x, 192, 3, "conv2_3x3", train)
    x = features["pool2"] = self._pool(x, _SLOTS["pool2"])
    for name, block in _BLOCKS.items():
      x = features[f"inception_{name}"] = self._block(x, name, block, train)
    return self.output(features)

  def _block(self, x, name: str, block: _Block, train: bool) -> jax.Array:
    """Concatenates the branches: 1x1, 3x3, double 3x3, and a pool with a projection."""

    def unit(y, channels, size, branch, stride=1):
      return self._unit(y, channels, size, f"inception_{name}_{branch}", train, stride)

    def last(y, channels, branch, slot_name):
      """The last convolution of a branch, which may have a stride."""
      if block.one:
        return unit(y, channels, 3, branch)
      slot = _SLOTS[slot_name]
      if self.is_strided(slot):
        return unit(y, channels, 3, branch, stride=2)
      return self._pool(unit(y, channels, 3, branch), slot)

    one = [unit(x, block.one, 1, "1x1")] if block.one else []
    three = last(unit(x, block.three[0], 1, "3x3_reduce"), block.three[1], "3x3", f"pool_{name}_3x3")
    double = unit(unit(x, block.double[0], 1, "double_3x3_reduce"), block.double[1], 3, "double_3x3_1")
    double = last(double, block.double[1], "double_3x3_2", f"pool_{name}_double_3x3")
    pool = self._pool(x, _SLOTS[f"pool_{name}"])
    pool = unit(pool, block.projection, 1, "pool_proj") if block.projection else pool
    return jnp.concatenate([*one, three, double, pool], axis=-1)

  def _pool(self, x, slot: PoolSlot) -> jax.Array:
    return apply_pool(self.pool, slot, x)

  def _unit(self, x, channels: int, size: int, name: str, train: bool, stride: int = 1) -> jax.Array:
    """Convolution, batch norm and ReLU."""
    x = self.conv(x, self.channels(channels), size, name, stride=stride)
    return nn.relu(self.normalize(x, f"{name}_norm", train))

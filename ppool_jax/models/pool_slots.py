"""Pool slots: the places of a network that take a pool, and the pool that a user's choice puts there."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import flax.linen as nn
import jax

from ppool_jax.layers import POOLS, PolynomialPool, pool_factory
from ppool_jax.models.dilation import apply_dilated
from ppool_jax.models.grid import Grid

PUBLISHED = "published"
"""The name for the pool that the published network has in a slot."""

PoolSpec: TypeAlias = str | tuple[str, Mapping[str, Any]] | Callable[..., nn.Module]
"""A pool: a name of `ppool_jax.POOLS`, `(name, kwargs)`, or a factory `(window_shape, strides, padding,
name) -> module`."""

PoolChoice: TypeAlias = PoolSpec | Mapping[str, PoolSpec | None] | None
"""The pools of a network: one for all slots, or a dict from slot names to pools with "default" for the other
slots. None and "published" stand for the published network's pool."""


class PoolSlot(NamedTuple):
  """A place of a network that takes a pool.

  Attributes:
    name: the pool's name: a parameter path, and a key of a `PoolChoice`.
    window: side of the pool's window.
    stride: 1 or 2.
    padding: (low, high) along both axes.
    published: the pool of the published network: a name of `ppool_jax.POOLS` or a factory.
    signed: whether the pool's input may be negative; P-pooling then takes `shift="channel"` (Eq. 2).
    ceil: whether the output size is rounded up ("ceil mode" of Caffe and PyTorch): a strided pool has a
      window at every stride-th position, the last of which may be partial. `padding`'s high is then unused.
  """

  name: str
  window: int
  stride: int
  padding: tuple[int, int] = (0, 0)
  published: str | Callable[..., nn.Module] = "max"
  signed: bool = False
  ceil: bool = False


def resolve_pool(pool: PoolChoice, slot: PoolSlot) -> PoolSpec:
  """The pool that `pool` puts into a slot; never a dict, None or "published".

  Raises:
    ValueError: a dict without an entry for the slot and without "default".
  """
  if isinstance(pool, Mapping):
    if slot.name not in pool and "default" not in pool:
      raise ValueError(f'pool: no entry for slot {slot.name!r} and no "default" in {sorted(pool)}')
    pool = pool.get(slot.name, pool.get("default"))
  return slot.published if pool is None or pool == PUBLISHED else pool


def resolves_to(pool: PoolChoice, slot: PoolSlot, name: str) -> bool:
  """Whether the pool in a slot is the layer called `name`, however it is given: by name or as a factory."""
  factory = pool_factory(resolve_pool(pool, slot))
  return getattr(factory, "func", factory) is POOLS[name]


def is_strided(pool: PoolChoice, slot: PoolSlot) -> bool:
  """Whether a slot has no pool because the layer before it has the stride."""
  return resolves_to(pool, slot, "strided")


def grid_after(grid: Grid, pool: PoolChoice, slot: PoolSlot, output_stride: int | None = None) -> Grid:
  """The sampling grid of a slot's output; `output_stride` is the largest stride."""
  if is_strided(pool, slot) or resolves_to(pool, slot, "allconv"):
    # Both are centered on every stride-th position, whatever the slot's window.
    return grid.after_layer(1, slot.stride, 0, output_stride)
  return grid.after_layer(slot.window, slot.stride, slot.padding[0], output_stride)


def apply_pool(
  pool: PoolChoice, slot: PoolSlot, x: jax.Array, stride: int | None = None, dilation: int = 1
) -> jax.Array:
  """Applies the pool of a slot, as a submodule of the calling network.

  Args:
    pool: the network's pools.
    slot: the slot.
    x: `[N, H, W, C]`.
    stride: replaces the slot's stride: 1 where the output stride is limited.
    dilation: distance between the positions that a window reads.

  Returns:
    `[N, H', W', C]`.

  Raises:
    ValueError: a dilated pool on sides that are not multiples of the dilation.
  """
  stride = slot.stride if stride is None else stride
  factory = pool_factory(resolve_pool(pool, slot))
  module = (_with_shift(factory) if slot.signed else factory)(
    window_shape=(slot.window,) * 2,
    strides=(stride,) * 2,
    padding=tuple(_padding(slot, size, stride) for size in x.shape[1:3]),
    name=slot.name,
  )
  return apply_dilated(module, x, dilation)


def _padding(slot: PoolSlot, size: int, stride: int) -> tuple[int, int]:
  """The padding along an axis; at stride 1 a pool preserves the size, whatever the slot's stride."""
  low, high = slot.padding
  if stride == 1 or slot.ceil:
    high = slot.window - 1 - (size - 1) % stride - low
  return low, high


def _with_shift(factory: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
  """The factory with `shift="channel"` if it makes P-pooling without a shift of its own."""
  base = getattr(factory, "func", factory)
  if base is not PolynomialPool or "shift" in getattr(factory, "keywords", {}):
    return factory
  return functools.partial(factory, shift="channel")


def check_pool(
  pool: PoolChoice, slots: Sequence[PoolSlot], unsupported: Mapping[str, str] | None = None
) -> None:
  """Checks the pools that a user chose for a network.

  Without it a misspelled slot in a dict would silently leave "default" in its place.

  Args:
    pool: the network's pools.
    slots: the network's slots.
    unsupported: maps the name of a pool to the reason why the network cannot have it.

  Raises:
    ValueError: a slot that does not exist, with those that do; an unsupported pool, with the reason.
  """
  names = [slot.name for slot in slots]
  if isinstance(pool, Mapping) and (unknown := sorted(set(pool) - {*names, "default"})):
    raise ValueError(f'pool: expected slots among {", ".join(names)} and "default", got {unknown[0]!r}')
  for slot in slots:
    for name, reason in (unsupported or {}).items():
      if resolves_to(pool, slot, name):
        raise ValueError(f"pool: {name!r} at {slot.name}: {reason}")


class CountIncludePadAvgPool(nn.Module):
  """Average pooling that counts padding as zeros, the default of Caffe and PyTorch (`count_include_pad`)."""

  window_shape: Sequence[int]
  strides: Sequence[int] | None = None
  padding: Any = "VALID"

  def __call__(self, x: jax.Array) -> jax.Array:
    """Pools x `[N, H, W, C]`."""
    return nn.avg_pool(x, self.window_shape, self.strides, self.padding)

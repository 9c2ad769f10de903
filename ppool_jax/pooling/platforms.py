"""Windows side by side, as a TPU reaches them best.

A TPU's arrays lie in tiles of 8 x 128 and its compiler stores what it cannot fuse: there, spreading a
window's statistics over x costs an array of x's size for each. So every place in the window is an array of
its own, and the parts of dx are put together in one loop. On a CPU that would be slower and need more
memory. docs/FORMULATIONS.md has the measurements.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppool_jax.pooling.windows import MAX_UNROLLED, Taps, Tiles, Windows


def by_platform(function: Callable, win: Windows, *operands):
  """`function(win, *operands)`, with windows of the kind that suits the platform it is compiled for."""
  if not _folds(win):
    return function(win, *operands)
  folded = FoldedTaps(*(getattr(win, field.name) for field in dataclasses.fields(win)))
  return lax.platform_dependent(
    *operands, tpu=functools.partial(function, folded), default=functools.partial(function, win)
  )


def _folds(win: Windows) -> bool:
  return isinstance(win, Tiles) and win.size <= MAX_UNROLLED


def joined(win: Windows, x: jax.Array) -> jax.Array:
  """x as all that reads its windows should share it: on a TPU their parts of dx then meet in one loop.

  Its compiler would move the reshape to x's shape in front of that loop, and store each part in that shape.
  """
  return _joined(win, x) if _folds(win) else x


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _joined(win: Tiles, x):
  return x


@_joined.defjvp
def _joined_jvp(win, primals, tangents):
  def on_tpu(dx):
    folded, unfold = win.cover(dx)
    return unfold(lax.optimization_barrier(folded))

  return *primals, lax.platform_dependent(*tangents, tpu=on_tpu, default=lambda dx: dx)


class FoldedTaps(Taps):
  """Windows side by side: a slice of the folded input for each place in the window."""

  @property
  def _tiles(self) -> Tiles:
    return Tiles(*(getattr(self, field.name) for field in dataclasses.fields(self)))

  def _views(self, x):
    return self._tiles.elements(self._tiles._views(x))

  def members(self, x, dtype):
    """Cast last: an x that is cast first would be stored, and dx in float32."""
    return [member.astype(dtype) for member in _members(self, x)]

  def tangents(self, dx, dtype):
    return [tangent.astype(dtype) for tangent in self._tangents(dx)]

  def _tangents(self, dx):
    """`members` as sums over one place of the window, whose transpose is one loop of selections.

    That of slices is a sum of padded arrays, and each of them would be stored.
    """
    (dx,) = self._tiles._views(dx)
    folded = self._tiles.fold(dx)
    axes = [axis % folded.ndim for axis in self._tiles.axes]
    return [lax.reduce_sum(jnp.where(place, folded, 0), axes) for place in self._places()]

  def _places(self) -> list[np.ndarray]:
    """For each place in the window a mask that selects it, broadcasting against a folded array."""
    masks = np.eye(self.size, dtype=bool).reshape(self.size, *(n for k in self.window for n in (1, k)), 1)
    return list(masks)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _members(win: FoldedTaps, x):
  return win._views(x)


@_members.defjvp
def _members_jvp(win, primals, tangents):
  return _members(win, *primals), win._tangents(*tangents)

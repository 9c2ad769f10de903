"""Non-overlapping windows (strides = window), read by reshaping x, without copies.

A folded array has two axes for each spatial axis of x: `[..., out, window, ..., channels]`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppool_jax.pooling.windows import REDUCTIONS, Windows, index_spatial, pad_spatial


class Tiles(Windows):
  """Windows side by side. The input view is x itself; the window view slices or reduces the folded x."""

  @property
  def window_axes(self) -> tuple[int, ...]:
    """The axes of a folded array that run inside the windows."""
    return tuple(range(-2 * len(self.window), 0, 2))

  def fold(self, x):
    """`[..., out * window, channels]` to `[..., out, window, channels]` along each spatial axis."""
    return x.reshape(*x.shape[: -len(self.out) - 1], *self._folded_sides, x.shape[-1])

  def fold_all(self, x: jax.Array) -> tuple[jax.Array, Callable[[jax.Array], jax.Array]]:
    """All of `x` folded, also what lies in no window, with zeros where x ends; and the inverse."""
    axes = list(zip(self.padding, self.spatial, self.window, strict=True))
    pads = [(low, -(low + size) % k) for (low, _), size, k in axes]
    sides = [n for (low, _), size, k in axes for n in (-(-(low + size) // k), k)]
    whole = pad_spatial(x, pads)
    folded = whole.reshape(*x.shape[: -len(axes) - 1], *sides, x.shape[-1])
    crops = [(-low, -high) for low, high in pads]
    return folded, lambda folded: pad_spatial(folded.reshape(whole.shape), crops)

  def window_view(self, inputs):
    folded = [self.fold(x) for x in inputs]
    if not self.unrolled:
      return folded
    inside = [[part for i in place for part in (slice(None), i)] for place in np.ndindex(*self.window)]
    return [x[index_spatial(place)] for x in folded for place in inside]

  def window_view_of(self, x, dtype):
    def cast_last(x):
      return [element.astype(dtype) for element in self.window_view(self._view(x))]

    # A TPU would store an x that is cast first; a CPU takes twice the time to cast each of the elements.
    # Where windows overlap, casting last would round the terms of dx.
    cast_first = functools.partial(super().window_view_of, dtype=dtype)
    return lax.platform_dependent(x, tpu=cast_last, default=cast_first)

  def to_input(self, z):
    lead = z.shape[: -len(self.out) - 1]
    wide = jnp.broadcast_to(self._with_window_axes(z), (*lead, *self._folded_sides, z.shape[-1]))
    return wide.reshape(*lead, *(n * k for n, k in zip(self.out, self.window, strict=True)), z.shape[-1])

  def to_window(self, z):
    return z if self.unrolled else self._with_window_axes(z)

  def kernel_view(self, kernel):
    if self.unrolled:
      return super().kernel_view(kernel)
    return [kernel.reshape(*(n for k in self.window for n in (1, k)), kernel.shape[-1])]

  def reduce(self, reducer, elements):
    if self.unrolled:
      return super().reduce(reducer, elements)
    return REDUCTIONS[reducer](elements[0], self.window_axes)

  def sum_input_view(self, inputs):
    return jnp.sum(self.fold(inputs[0]), self.window_axes)

  @property
  def _folded_sides(self) -> list[int]:
    return [n for pair in zip(self.out, self.window, strict=True) for n in pair]

  def _view(self, x):
    """`x`, padded or cropped to whole windows."""
    extents = [n * k for n, k in zip(self.out, self.window, strict=True)]
    axes = zip(self.padding, extents, self.spatial, strict=True)
    return [pad_spatial(x, [(low, extent - low - size) for (low, _), extent, size in axes])]

  def _with_window_axes(self, z):
    return jnp.expand_dims(z, self.window_axes)


class TpuTiles(Windows):
  """Windows side by side as a TPU reads them: a slice of the folded x for each place in the window.

  A TPU's arrays lie in tiles of 8 x 128, and its compiler stores what it cannot fuse: to broadcast a window's
  statistics to x would store an array of x's size for each. So both views are arrays of the output's size,
  and one loop assembles dx from their cotangents. On a CPU this is slower and needs more memory
  (docs/MEASUREMENTS.md).
  """

  def input_view(self, x, dtype):
    # Cast last: an x that is cast first would be stored, and dx in float32.
    return [part.astype(dtype) for part in _parts(self, x)]

  def tangent_view(self, dx, dtype):
    return [part.astype(dtype) for part in self._tangents(dx)]

  @property
  def _tiles(self) -> Tiles:
    return Tiles(**vars(self))

  def _view(self, x):
    return self._tiles.window_view(self._tiles._view(x))

  def _tangents(self, dx):
    """`_view` as sums over one place of the window, whose transpose is one loop of selections.

    The transpose of slices is a sum of padded arrays, each of which would be stored.
    """
    (dx,) = self._tiles._view(dx)
    folded = self._tiles.fold(dx)
    axes = [axis % folded.ndim for axis in self._tiles.window_axes]
    return [lax.reduce_sum(jnp.where(place, folded, 0), axes) for place in self._places()]

  def _places(self) -> list[np.ndarray]:
    """For each place in the window a mask that selects it, in a shape that broadcasts to a folded array."""
    masks = np.eye(self.size, dtype=bool).reshape(self.size, *(n for k in self.window for n in (1, k)), 1)
    return list(masks)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _parts(win: TpuTiles, x):
  return win._view(x)


@_parts.defjvp
def _parts_jvp(win, primals, tangents):
  return _parts(win, *primals), win._tangents(*tangents)

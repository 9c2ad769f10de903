"""How the elements of pooling windows are reached.

With geometry.py the only file that knows strides and padding. A pooling is written once, against two
views of its input that `Windows` offers:

* **members**: arrays in which every element stands once for every window that holds it. For windows
  side by side that is the input itself, otherwise a strided slice ("tap") for each place in the window.
* **elements**: arrays aligned with the output, so that a loop over them computes a window's
  statistics in one pass over the input.

Slices and reshapes compile to fused loops on every back end, with cheap gradients, which neither
`lax.reduce_window` nor patch extraction do (docs/FORMULATIONS.md).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from types import EllipsisType

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppool_jax.pooling.geometry import Geometry, resolve

# Windows of up to this many elements are unrolled into slices, which fuse into one loop. Beyond it
# (global pooling, 13x13 windows) that would take minutes to compile: an axis is reduced instead.
MAX_UNROLLED = 25
_REDUCTIONS = {jnp.add: jnp.sum, jnp.maximum: jnp.max, jnp.minimum: jnp.min}


def windows(x_shape, window_shape, strides=None, padding="VALID") -> Windows:
  """The windows over an input of shape `[..., *spatial, channels]`; arguments as of `resolve`."""
  geometry = resolve(x_shape, window_shape, strides, padding)
  overlapping = Taps if geometry.size <= MAX_UNROLLED else _StackedTaps
  kind = Tiles if geometry.strides == geometry.window else overlapping
  return kind(*(getattr(geometry, field.name) for field in dataclasses.fields(geometry)))


class Windows(Geometry):
  """Pooling windows; base class of one kind for each way to reach the elements."""

  def valid(self) -> list[np.ndarray] | None:
    """Members that tell elements (True) from padding, `[*spatial, 1]` each; None without padding."""
    if not any(map(any, self.padding)):
      return None
    return self._views(self._ones())

  def members(self, x: jax.Array, dtype) -> list[jax.Array]:
    """The members of `x` as `dtype`; where there is padding, zeros that `valid` tells apart."""
    return self._views(x.astype(dtype))

  def tangents(self, dx: jax.Array, dtype) -> list[jax.Array]:
    """The members of a tangent of `x`; the reverse pass puts dx together by its transpose."""
    return self.members(dx, dtype)

  def elements_of(self, x: jax.Array, dtype) -> list[jax.Array]:
    """The windows' elements of `x` as `dtype`."""
    return self.elements(self.members(x, dtype))

  def _views(self, x):
    """`members`, for NumPy arrays too: masks must be constants of the program."""
    raise NotImplementedError

  def elements(self, members):
    """Members, seen as elements of the windows."""
    raise NotImplementedError

  def spread(self, z: jax.Array) -> jax.Array:
    """A value for each window, `[..., *out, channels]`, seen as a member."""
    raise NotImplementedError

  def places(self, z: jax.Array) -> list[jax.Array]:
    """A value for each place in the window, `[*window, channels]`, broadcasting against elements."""
    return list(z.reshape(self.size, z.shape[-1]))

  def counts(self) -> np.ndarray:
    """How many elements each window holds, `[*out, 1]` (or a broadcasting shape)."""
    if not self.valid():
      return np.full((1,) * (len(self.out) + 1), self.size)
    return sum(v.astype(int) for v in self._taps(self._ones()))

  def _ones(self):
    """True for every place of the input; where `jax.export` leaves its sides open, as part of the program."""
    library = np if all(isinstance(side, int) for side in self.spatial) else jnp
    return library.ones((*self.spatial, 1), bool)

  def _taps(self, x) -> list:
    """A strided slice of `x` for each place in the window, zeros (False) in the padding."""
    x = _pad(x, self.padding)
    return [x[_at(self._slices(place))] for place in np.ndindex(*self.window)]

  def _slices(self, place: Sequence[int]) -> list[slice]:
    return [
      slice(start, start + (n - 1) * step + 1, step)
      for start, n, step in zip(place, self.out, self.strides, strict=True)
    ]

  def expand(self, z: jax.Array) -> jax.Array:
    """A value for each window, `[..., *out, channels]`, broadcasting against the elements."""
    return z

  def reduce(self, reducer: Callable, elements: Sequence[jax.Array]) -> jax.Array:
    """Combines each window's elements by `jnp.add`, `jnp.maximum` or `jnp.minimum`."""
    return functools.reduce(reducer, elements)

  def sum(self, elements: Sequence[jax.Array]) -> jax.Array:
    """Sums over each window."""
    return self.reduce(jnp.add, elements)

  def total(self, members: Sequence[jax.Array]) -> jax.Array:
    """Sums members over each window; its transpose spreads the output's cotangent."""
    return functools.reduce(jnp.add, members)


class Taps(Windows):
  """Windows of any geometry: a strided slice for each place in the window."""

  def _views(self, x):
    return self._taps(x)

  def elements(self, members):
    return members

  def spread(self, z):
    return z


class _StackedTaps(Taps):
  """The same for large windows: the slices are stacked along an axis before the spatial ones."""

  @property
  def _axis(self) -> int:
    return -len(self.out) - 2

  def _views(self, x):
    stack = np.stack if isinstance(x, np.ndarray) else jnp.stack
    return [stack(self._taps(x), self._axis)]

  def places(self, z):
    return [z.reshape(self.size, *(1 for _ in self.out), z.shape[-1])]

  def spread(self, z):
    return jnp.expand_dims(z, self._axis)

  def expand(self, z):
    return jnp.expand_dims(z, self._axis)

  def reduce(self, reducer, elements):
    return _REDUCTIONS[reducer](elements[0], self._axis)

  def total(self, members):
    return jnp.sum(members[0], self._axis)


class Tiles(Windows):
  """Windows side by side (stride = window): the input itself is the one member."""

  def _views(self, x):
    extents = [n * k for n, k in zip(self.out, self.window, strict=True)]
    pads = [
      (low, extent - low - size)
      for (low, _), extent, size in zip(self.padding, extents, self.spatial, strict=True)
    ]
    return [_pad(x, pads)]

  @property
  def axes(self) -> tuple[int, ...]:
    """The axes of a folded array that run inside the windows."""
    return tuple(range(-2 * len(self.window), 0, 2))

  @property
  def _unrolled(self) -> bool:
    return self.size <= MAX_UNROLLED

  def fold(self, x):
    """`[..., out * window, channels]` to `[..., out, window, channels]` along each spatial axis."""
    pairs = [n for pair in zip(self.out, self.window, strict=True) for n in pair]
    return x.reshape(*x.shape[: -len(self.out) - 1], *pairs, x.shape[-1])

  def cover(self, x):
    """All of `x` folded, what lies in no window and zeros to complete the last included; and the way back."""
    axes = list(zip(self.padding, self.spatial, self.window, strict=True))
    pads = [(low, -(low + size) % k) for (low, _), size, k in axes]
    pairs = [n for (low, _), size, k in axes for n in (-(-(low + size) // k), k)]
    whole = _pad(x, pads)
    folded = whole.reshape(*x.shape[: -len(axes) - 1], *pairs, x.shape[-1])
    return folded, lambda folded: _pad(folded.reshape(whole.shape), [(-low, -high) for low, high in pads])

  def elements_of(self, x, dtype):
    def cast_last(x):
      return [element.astype(dtype) for element in self.elements(self._views(x))]

    # A TPU would store an x that is cast first; a CPU takes twice the time to cast each of the elements.
    # Where windows overlap, casting last would round the terms of dx.
    cast_first = functools.partial(super().elements_of, dtype=dtype)
    return lax.platform_dependent(x, tpu=cast_last, default=cast_first)

  def elements(self, members):
    folded = [self.fold(x) for x in members]
    if not self._unrolled:
      return folded
    inside = [[part for i in place for part in (slice(None), i)] for place in np.ndindex(*self.window)]
    return [x[_at(place)] for x in folded for place in inside]

  def _insert(self, z):
    return jnp.expand_dims(z, self.axes)

  def spread(self, z):
    lead = z.shape[: -len(self.out) - 1]
    pairs = [n for pair in zip(self.out, self.window, strict=True) for n in pair]
    wide = jnp.broadcast_to(self._insert(z), (*lead, *pairs, z.shape[-1]))
    return wide.reshape(*lead, *(n * k for n, k in zip(self.out, self.window, strict=True)), z.shape[-1])

  def places(self, z):
    if self._unrolled:
      return super().places(z)
    return [z.reshape(*(n for k in self.window for n in (1, k)), z.shape[-1])]

  def expand(self, z):
    return z if self._unrolled else self._insert(z)

  def reduce(self, reducer, elements):
    if self._unrolled:
      return super().reduce(reducer, elements)
    return _REDUCTIONS[reducer](elements[0], self.axes)

  def total(self, members):
    return jnp.sum(self.fold(members[0]), self.axes)


def _at(spatial_index: Sequence) -> tuple[EllipsisType | slice | int, ...]:
  """An index of the spatial axes, which are the last but the channels."""
  return (..., *spatial_index, slice(None))


def _pad(x, pads: Sequence[tuple[int, int]]):
  """Pads (or, where negative, crops) the spatial axes of `x` with zeros (False)."""
  if not any(map(any, pads)):
    return x
  if isinstance(x, np.ndarray):
    x = x[_at([slice(0, n + min(high, 0)) for n, (_, high) in zip(x.shape[:-1], pads, strict=True)])]
    return np.pad(x, [(low, max(high, 0)) for low, high in pads] + [(0, 0)])
  lead = [(0, 0, 0)] * (x.ndim - len(pads) - 1)
  return lax.pad(x, jnp.zeros((), x.dtype), [*lead, *((low, high, 0) for low, high in pads), (0, 0, 0)])

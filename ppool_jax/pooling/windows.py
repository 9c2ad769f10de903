"""Window geometry: how the elements of pooling windows are reached.

The only file that knows about strides and padding. A pooling is written once, against two views of
its input that `Windows` offers:

* **members**: arrays in which every element stands once for every window that holds it. For windows
  that do not overlap that is the input itself, otherwise one strided slice ("tap") for each place
  in the window.
* **elements**: arrays from which a window's statistics are computed, aligned with the output, so
  that the loop over them is compiled into one pass over the input.

Plain strided slices and reshapes compile to fused loops on every back end, with cheap gradients,
which neither `lax.reduce_window` nor patch extraction do (`docs/FORMULATIONS.md`).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from types import EllipsisType

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# Up to this many elements a window of a tiling is unrolled into slices, which fuse into one loop;
# beyond it (global pooling) the reshaped input is reduced instead, as unrolling would take minutes.
_MAX_UNROLLED = 16


@dataclasses.dataclass(frozen=True)
class Windows:
  """Pooling windows over the spatial axes of `[..., *spatial, channels]`; base class.

  Attributes:
    spatial: the input's spatial shape.
    window: the window's shape.
    strides: the step from window to window along each spatial axis.
    padding: (low, high) along each spatial axis. Padding holds no elements: a window at the border
      is smaller.
    out: the output's spatial shape.
  """

  spatial: tuple[int, ...]
  window: tuple[int, ...]
  strides: tuple[int, ...]
  padding: tuple[tuple[int, int], ...]
  out: tuple[int, ...]

  @property
  def size(self) -> int:
    """Elements in a window that touches no border."""
    return math.prod(self.window)

  def out_shape(self, x_shape: Sequence[int]) -> tuple[int, ...]:
    """Shape of the output for an input of shape `[..., *spatial, channels]`."""
    return (*x_shape[: -len(self.out) - 1], *self.out, x_shape[-1])

  def valid(self) -> list[np.ndarray] | None:
    """Members that tell elements (True) from padding, `[*spatial, 1]` each; None without padding."""
    if not any(map(any, self.padding)):
      return None
    return self._views(np.ones((*self.spatial, 1), bool))

  def members(self, x: jax.Array) -> list[jax.Array]:
    """The members of `x`; where there is padding, zeros that `valid` tells apart."""
    return self._views(x)

  def _views(self, x):
    """`members`, for NumPy arrays too: masks must be constants of the program."""
    raise NotImplementedError

  def elements(self, members):
    """Members, seen as elements of the windows."""
    raise NotImplementedError

  def spread(self, z: jax.Array) -> jax.Array:
    """A value for each window, `[..., *out, channels]`, seen as a member."""
    raise NotImplementedError

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


@dataclasses.dataclass(frozen=True)
class _Taps(Windows):
  """Windows of any geometry: a strided slice for each place in the window."""

  def _views(self, x):
    x = _pad(x, [(low, high) for low, high in self.padding])
    return [x[_at(self._slices(place))] for place in np.ndindex(*self.window)]

  def _slices(self, place: Sequence[int]) -> list[slice]:
    return [
      slice(start, start + (n - 1) * step + 1, step)
      for start, n, step in zip(place, self.out, self.strides, strict=True)
    ]

  def elements(self, members):
    return members

  def spread(self, z):
    return z


@dataclasses.dataclass(frozen=True)
class _Tiles(Windows):
  """Windows side by side (stride = window): the input itself is the one member."""

  def _views(self, x):
    extents = [n * k for n, k in zip(self.out, self.window, strict=True)]
    pads = [
      (low, extent - low - size)
      for (low, _), extent, size in zip(self.padding, extents, self.spatial, strict=True)
    ]
    return [_pad(x, pads)]

  @property
  def _axes(self) -> tuple[int, ...]:
    """The axes of a folded array that run inside the windows."""
    return tuple(range(-2 * len(self.window), 0, 2))

  @property
  def _unrolled(self) -> bool:
    return self.size <= _MAX_UNROLLED

  def _fold(self, x):
    """`[..., out * window, channels]` to `[..., out, window, channels]` along each spatial axis."""
    pairs = [n for pair in zip(self.out, self.window, strict=True) for n in pair]
    return x.reshape(*x.shape[: -len(self.out) - 1], *pairs, x.shape[-1])

  def elements(self, members):
    folded = [self._fold(x) for x in members]
    if not self._unrolled:
      return folded
    inside = [[part for i in place for part in (slice(None), i)] for place in np.ndindex(*self.window)]
    return [x[_at(place)] for x in folded for place in inside]

  def _insert(self, z):
    return jnp.expand_dims(z, self._axes)

  def spread(self, z):
    lead = z.shape[: -len(self.out) - 1]
    pairs = [n for pair in zip(self.out, self.window, strict=True) for n in pair]
    wide = jnp.broadcast_to(self._insert(z), (*lead, *pairs, z.shape[-1]))
    return wide.reshape(*lead, *(n * k for n, k in zip(self.out, self.window, strict=True)), z.shape[-1])

  def expand(self, z):
    return z if self._unrolled else self._insert(z)

  def reduce(self, reducer, elements):
    if self._unrolled:
      return super().reduce(reducer, elements)
    over_axes = {jnp.add: jnp.sum, jnp.maximum: jnp.max, jnp.minimum: jnp.min}[reducer]
    return over_axes(elements[0], self._axes)

  def total(self, members):
    return jnp.sum(self._fold(members[0]), self._axes)


def windows(
  x_shape: Sequence[int],
  window_shape: Sequence[int],
  strides: Sequence[int] | None = None,
  padding: str | Sequence[tuple[int, int]] = "VALID",
) -> Windows:
  """Lays pooling windows over an input of shape `[..., *spatial, channels]`.

  Arguments as in `flax.linen.max_pool`: `strides` None means all ones, `padding` is "SAME", "VALID"
  or a (low, high) pair for each spatial axis.

  Raises:
    TypeError, ValueError: naming the argument, its value and what was expected.
  """
  window = _positive_ints("window_shape", window_shape)
  if not 1 <= len(window) <= 3:
    raise ValueError(f"window_shape: expected 1 to 3 spatial dimensions, got {window_shape!r}")
  strides = (1,) * len(window) if strides is None else _positive_ints("strides", strides)
  if len(strides) != len(window):
    raise ValueError(f"strides: expected {len(window)} numbers, as window_shape {window}, got {strides!r}")
  if len(x_shape) < len(window) + 1:
    raise ValueError(
      f"x: expected shape [..., {len(window)} spatial axes, channels] for window_shape {window}, "
      f"got {tuple(x_shape)}"
    )
  spatial = tuple(x_shape[-len(window) - 1 : -1])
  pads = _resolve_padding(padding, spatial, window, strides)
  for axis, (n, k, (low, high)) in enumerate(zip(spatial, window, pads, strict=True)):
    if k > n + low + high:
      raise ValueError(
        f"window_shape: {window} is larger than the padded input on spatial axis {axis}: "
        f"{k} > {low} + {n} + {high}"
      )
  out = tuple(
    (n + low + high - k) // s + 1 for n, k, s, (low, high) in zip(spatial, window, strides, pads, strict=True)
  )
  kind = _Tiles if strides == window else _Taps
  return kind(spatial, window, strides, pads, out)


def _positive_ints(name: str, values) -> tuple[int, ...]:
  if not isinstance(values, Sequence) or isinstance(values, str):
    raise TypeError(f"{name}: expected a tuple of positive integers, got {values!r}")
  for value in values:
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
      raise TypeError(f"{name}: expected a tuple of positive integers, got {values!r}")
    if value < 1:
      raise ValueError(f"{name}: expected positive integers, got {values!r}")
  return tuple(int(value) for value in values)


def _resolve_padding(padding, spatial, window, strides) -> tuple[tuple[int, int], ...]:
  if isinstance(padding, str):
    if padding not in ("SAME", "VALID"):
      raise ValueError(f'padding: expected "SAME", "VALID" or (low, high) pairs, got {padding!r}')
    return tuple(lax.padtype_to_pads(spatial, window, strides, padding))
  try:
    pads = tuple((int(low), int(high)) for low, high in padding)
  except (TypeError, ValueError):
    raise TypeError(f'padding: expected "SAME", "VALID" or (low, high) pairs, got {padding!r}') from None
  if len(pads) != len(window):
    raise ValueError(f"padding: expected {len(window)} (low, high) pairs, got {padding!r}")
  for (low, high), k in zip(pads, window, strict=True):
    if not (0 <= low < k and 0 <= high < k):
      raise ValueError(
        f"padding: expected 0 <= low, high < window on every side (a window must hold an element), "
        f"got {padding!r} for window_shape {window}"
      )
  return pads


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

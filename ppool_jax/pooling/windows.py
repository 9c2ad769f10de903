"""Windows over an input x: the input view and the window view, from which poolings read x.

A pooling is written once, against two views of its input x `[..., *spatial, channels]`. Each is a list of
arrays:

* The **input view** holds every element of x once for every window that contains it. Derivatives with
  respect to x are computed in it.
* The **window view** is aligned with the output, `[..., *out, channels]`, so that a loop over its arrays
  computes a window's statistics in one pass over x.

In `Windows` both views are the same: one strided slice of x for each place in the window. Subclasses read
other kinds of windows faster; `dispatch.py` chooses among them. Slices and reshapes compile to fused loops on
every back end, with cheap gradients, which neither `lax.reduce_window` nor patch extraction do
(docs/DESIGN_NOTES.md).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import EllipsisType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from ppool_jax.pooling.geometry import Geometry

# Windows of up to this many elements are unrolled into slices, which fuse into one loop. Larger ones (global
# pooling, 13x13 windows) would take minutes to compile unrolled, so an axis is reduced instead.
MAX_UNROLLED = 25
# The reduction over an axis that stands for each reducer of two arrays.
REDUCTIONS: dict[Callable, Callable] = {jnp.add: jnp.sum, jnp.maximum: jnp.max, jnp.minimum: jnp.min}


class Windows(Geometry):
  """Pooling windows of any geometry, read as one strided slice of x for each place in the window."""

  @property
  def unrolled(self) -> bool:
    """Whether the window view has an array for each place in the window."""
    return self.size <= MAX_UNROLLED

  def input_view(self, x: jax.Array, dtype: DTypeLike) -> list[jax.Array]:
    """The input view of `x`, cast to `dtype`. Padding holds zeros, which `input_mask` tells apart."""
    return self._view(x.astype(dtype))

  def tangent_view(self, dx: jax.Array, dtype: DTypeLike) -> list[jax.Array]:
    """The input view of a tangent of `x`. The reverse pass assembles dx by the transpose of this."""
    return self.input_view(dx, dtype)

  def window_view(self, inputs: Sequence) -> Sequence:
    """The window view that corresponds to the input view `inputs`."""
    return inputs

  def window_view_of(self, x: jax.Array, dtype: DTypeLike) -> Sequence[jax.Array]:
    """The window view of `x`, cast to `dtype`."""
    return self.window_view(self.input_view(x, dtype))

  def to_input(self, z: jax.Array) -> jax.Array:
    """A value for each window, `[..., *out, channels]`, broadcast to the arrays of the input view."""
    return z

  def to_window(self, z: jax.Array) -> jax.Array:
    """A value for each window, `[..., *out, channels]`, in a shape that broadcasts to the window view."""
    return z

  def kernel_view(self, kernel: jax.Array) -> list[jax.Array]:
    """A kernel `[*window, channels]`, as arrays that broadcast to those of the window view."""
    return list(kernel.reshape(self.size, kernel.shape[-1]))

  def input_mask(self) -> Sequence | None:
    """The input view of a mask, `[*spatial, 1]`, that is False in the padding; None without padding."""
    return self._view(self._ones()) if any(map(any, self.padding)) else None

  def window_mask(self) -> Sequence | None:
    """`input_mask` as a window view."""
    mask = self.input_mask()
    return None if mask is None else self.window_view(mask)

  def fill_input_view(self, inputs: Sequence[jax.Array], value: float) -> list[jax.Array]:
    """The input view with `value` in the padding."""
    return _fill(inputs, self.input_mask(), value)

  def fill_window_view(self, elements: Sequence[jax.Array], value: float) -> list[jax.Array]:
    """The window view with `value` in the padding."""
    return _fill(elements, self.window_mask(), value)

  def counts(self) -> np.ndarray | jax.Array:
    """The number of elements in each window, `[*out, 1]` or a shape that broadcasts to it."""
    if not any(map(any, self.padding)):
      return np.full((1,) * (len(self.out) + 1), self.size)
    first, *rest = (mask.astype(int) for mask in self._slices(self._ones()))
    return sum(rest, start=first)

  def reduce(self, reducer: Callable, elements: Sequence[jax.Array]) -> jax.Array:
    """Reduces the window view over each window by `jnp.add`, `jnp.maximum` or `jnp.minimum`."""
    return functools.reduce(reducer, elements)

  def sum(self, elements: Sequence[jax.Array]) -> jax.Array:
    """The sum of each window, from the window view."""
    return self.reduce(jnp.add, elements)

  def sum_input_view(self, inputs: Sequence[jax.Array]) -> jax.Array:
    """The sum of each window, from the input view; its transpose broadcasts the output's cotangent to it."""
    return functools.reduce(jnp.add, inputs)

  def max(self, inputs: Sequence[jax.Array]) -> jax.Array:
    """The largest element of each window, from the input view; equal ones share the derivative."""
    return _extreme(self, jnp.maximum, -jnp.inf, inputs)

  def min(self, inputs: Sequence[jax.Array]) -> jax.Array:
    """The smallest element of each window, from the input view; equal ones share the derivative."""
    return _extreme(self, jnp.minimum, jnp.inf, inputs)

  def _view(self, x: Any) -> list:
    """The input view of an array of JAX or NumPy: masks must be constants of the program."""
    return self._slices(x)

  def _slices(self, x) -> list:
    """A strided slice of `x` for each place in the window, zeros (False) in the padding."""
    x = pad_spatial(x, self.padding)
    return [x[index_spatial(self._slice(place))] for place in np.ndindex(*self.window)]

  def _slice(self, place: Sequence[int]) -> list[slice]:
    starts = [i * dilation for i, dilation in zip(place, self.dilation, strict=True)]
    return [
      slice(start, start + (n - 1) * step + 1, step)
      for start, n, step in zip(starts, self.out, self.strides, strict=True)
    ]

  def _ones(self):
    """True at every element of x; part of the program where `jax.export` leaves the sides symbolic."""
    library = np if all(isinstance(side, int) for side in self.spatial) else jnp
    return library.ones((*self.spatial, 1), bool)


def _fill(view, mask, value):
  return list(view) if mask is None else [jnp.where(m, x, value) for m, x in zip(mask, view, strict=True)]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _extreme(win: Windows, reducer: Callable, padding: float, inputs: Sequence[jax.Array]) -> jax.Array:
  return win.reduce(reducer, win.window_view(win.fill_input_view(inputs, padding)))


@_extreme.defjvp
def _extreme_jvp(win, reducer, padding, primals, tangents):
  (inputs,), (dinputs,) = primals, tangents
  y = _extreme(win, reducer, padding, inputs)
  ties = [x == win.to_input(y) for x in inputs]
  if mask := win.input_mask():
    ties = [tie & m for tie, m in zip(ties, mask, strict=True)]
  count = win.sum([tie.astype(y.dtype) for tie in win.window_view(ties)])
  selected = win.sum_input_view([jnp.where(tie, d, 0) for tie, d in zip(ties, dinputs, strict=True)])
  return y, selected / jnp.maximum(count, 1)


def scale_to_unit(size: jax.Array) -> jax.Array:
  """The power of two that takes `size` > 0 into [2, 4), exactly, so that a sum over a window stays in range.

  It is a normal number for every normal `size`, and a constant for derivatives.
  """
  bits, exponent = {4: (jnp.int32, 0x7F800000), 8: (jnp.int64, 0x7FF0000000000000)}[size.dtype.itemsize]
  size = jnp.maximum(lax.stop_gradient(size), jnp.finfo(size.dtype).tiny)
  mask = bits(exponent)
  return lax.bitcast_convert_type(mask - (lax.bitcast_convert_type(size, bits) & mask), size.dtype)


def index_spatial(index: Sequence) -> tuple[EllipsisType | slice | int, ...]:
  """An index of the spatial axes, which are the last but the channels."""
  return (..., *index, slice(None))


def pad_spatial(x: Any, pads: Sequence[tuple[int, int]]) -> Any:
  """Pads the spatial axes of `x` with zeros (False), and crops them where a number is negative."""
  if not any(map(any, pads)):
    return x
  if isinstance(x, np.ndarray):
    crop = [slice(0, n + min(high, 0)) for n, (_, high) in zip(x.shape[:-1], pads, strict=True)]
    x = x[index_spatial(crop)]
    return np.pad(x, [(low, max(high, 0)) for low, high in pads] + [(0, 0)])
  lead = [(0, 0, 0)] * (x.ndim - len(pads) - 1)
  return lax.pad(x, jnp.zeros((), x.dtype), [*lead, *((low, high, 0) for low, high in pads), (0, 0, 0)])

"""Resolves `window_shape`, `strides` and `padding` for an input's shape, and validates them."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax import lax

Padding = str | Sequence[tuple[int, int]]


@dataclasses.dataclass(frozen=True)
class Geometry:
  """Pooling windows over the spatial axes of `[..., *spatial, channels]`.

  Attributes:
    spatial: the input's spatial shape.
    window: the window's shape.
    strides: the step from window to window along each spatial axis.
    padding: (low, high) along each spatial axis. Padding holds no elements: a window at the border
      has fewer.
    dilation: the step from element to element inside a window, along each spatial axis.
    out: the output's spatial shape.
  """

  spatial: tuple[int, ...]
  window: tuple[int, ...]
  strides: tuple[int, ...]
  padding: tuple[tuple[int, int], ...]
  dilation: tuple[int, ...]
  out: tuple[int, ...]

  @property
  def size(self) -> int:
    """The number of elements in a window that touches no border."""
    return math.prod(self.window)

  @property
  def extent(self) -> tuple[int, ...]:
    """The shape that a window covers: `window` where nothing is dilated."""
    return _extent(self.window, self.dilation)

  def out_shape(self, x_shape: Sequence[int]) -> tuple[int, ...]:
    """The output's shape for an input of shape `[..., *spatial, channels]`."""
    return (*x_shape[: -len(self.out) - 1], *self.out, x_shape[-1])


def resolve(
  x_shape: Sequence[int],
  window_shape: Sequence[int],
  strides: Sequence[int] | None = None,
  padding: Padding = "VALID",
  dilation: Sequence[int] | None = None,
) -> Geometry:
  """Lays pooling windows over an input of shape `[..., *spatial, channels]`.

  Args:
    x_shape: the input's shape.
    window_shape, strides, padding: as in `ppool_jax.pooling.max_pool`.
    dilation: one positive integer for each spatial axis, or None for all ones.

  Raises:
    TypeError, ValueError: naming the argument, its value and what was expected.
  """
  window = _positive_ints("window_shape", window_shape)
  if not 1 <= len(window) <= 3:
    raise ValueError(f"window_shape: expected 1 to 3 spatial dimensions, got {window_shape!r}")
  strides = _ints_per_axis("strides", strides, window)
  dilation = _ints_per_axis("dilation", dilation, window)
  if len(x_shape) < len(window) + 1:
    raise ValueError(
      f"x: expected shape [..., {len(window)} spatial axes, channels] for window_shape {window}, "
      f"got {tuple(x_shape)}"
    )
  spatial, extent = tuple(x_shape[-len(window) - 1 : -1]), _extent(window, dilation)
  pads = _resolve_padding(padding, spatial, extent, strides)
  for axis, (n, k, (low, high)) in enumerate(zip(spatial, extent, pads, strict=True)):
    if k > n + low + high:
      raise ValueError(
        f"window_shape: {window} is larger than the padded input on spatial axis {axis}: "
        f"{k} > {low} + {n} + {high}"
      )
  axes = zip(spatial, extent, strides, pads, strict=True)
  out = tuple((n + low + high - k) // step + 1 for n, k, step, (low, high) in axes)
  return Geometry(spatial, window, strides, pads, dilation, out)


def _extent(window, dilation) -> tuple[int, ...]:
  return tuple((k - 1) * step + 1 for k, step in zip(window, dilation, strict=True))


def _ints_per_axis(name: str, values: Any, window: tuple[int, ...]) -> tuple[int, ...]:
  numbers = (1,) * len(window) if values is None else _positive_ints(name, values)
  if len(numbers) != len(window):
    raise ValueError(f"{name}: expected {len(window)} numbers, as window_shape {window}, got {numbers!r}")
  return numbers


def _positive_ints(name: str, values: Any) -> tuple[int, ...]:
  if not isinstance(values, Sequence) or isinstance(values, str):
    raise TypeError(f"{name}: expected a tuple of positive integers, got {values!r}")
  for value in values:
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
      raise TypeError(f"{name}: expected a tuple of positive integers, got {values!r}")
    if value < 1:
      raise ValueError(f"{name}: expected positive integers, got {values!r}")
  return tuple(int(value) for value in values)


def _resolve_padding(padding, spatial, extent, strides) -> tuple[tuple[int, int], ...]:
  if isinstance(padding, str):
    if padding not in ("SAME", "VALID"):
      raise ValueError(f'padding: expected "SAME", "VALID" or (low, high) pairs, got {padding!r}')
    return tuple(lax.padtype_to_pads(spatial, extent, strides, padding))
  try:
    pads = tuple((operator.index(low), operator.index(high)) for low, high in padding)
  except (TypeError, ValueError):
    raise TypeError(f'padding: expected "SAME", "VALID" or (low, high) pairs, got {padding!r}') from None
  if len(pads) != len(extent):
    raise ValueError(f"padding: expected {len(extent)} (low, high) pairs, got {padding!r}")
  for (low, high), k in zip(pads, extent, strict=True):
    if not (0 <= low < k and 0 <= high < k):
      raise ValueError(
        f"padding: expected 0 <= low, high < window on every side (a window must hold an element), "
        f"got {padding!r} for windows that cover {extent}"
      )
  return pads

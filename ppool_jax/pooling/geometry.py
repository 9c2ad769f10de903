"""What `window_shape`, `strides` and `padding` mean for an input's shape, and whether they can."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from jax import lax


@dataclasses.dataclass(frozen=True)
class Geometry:
  """Pooling windows over the spatial axes of `[..., *spatial, channels]`.

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


def resolve(
  x_shape: Sequence[int],
  window_shape: Sequence[int],
  strides: Sequence[int] | None = None,
  padding: str | Sequence[tuple[int, int]] = "VALID",
) -> Geometry:
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
  return Geometry(spatial, window, strides, pads, out)


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

"""Polynomial pooling as docs/POOLING.md defines it, in NumPy's long doubles: slow and independent.

Each window is read from x by itself. The derivative is that of the formula by the chain rule,

    df/db_i = p_i + df/dv_i dv_i/db_i + sum_j df/dv_j dv_j/dm dm/db_i,    df/dv_i = alpha p_i (b_i - f) / v_i,

for b = x - s, v = max(b, floor*m), p the normalized weights v^alpha and f = sum_i p_i b_i.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
from hypothesis import strategies as st

LONG = np.longdouble


def paddings(spatial, window, strides, padding):
  """(low, high) for each axis; "SAME" gives ceil(size / stride) windows and puts odd padding high."""
  if padding == "VALID":
    return [(0, 0)] * len(window)
  if padding != "SAME":
    return list(padding)
  totals = [
    max((math.ceil(n / s) - 1) * s + k - n, 0) for n, k, s in zip(spatial, window, strides, strict=True)
  ]
  return [(total // 2, total - total // 2) for total in totals]


def places(spatial, window, strides=None, padding="VALID"):
  """All windows in order: a list of (index in the output, slices of the input without padding)."""
  strides = strides or (1,) * len(window)
  axes = []
  pads = paddings(spatial, window, strides, padding)
  for n, k, s, (low, high) in zip(spatial, window, strides, pads, strict=True):
    starts = range(-low, n + high - k + 1, s)
    axes.append([(i, slice(max(start, 0), min(start + k, n))) for i, start in enumerate(starts)])
  return [tuple(zip(*place, strict=True)) for place in itertools.product(*axes)]


def out_shape(x_shape, window, strides=None, padding="VALID"):
  """The shape of the output."""
  last, _ = places(x_shape[-len(window) - 1 : -1], window, strides, padding)[-1]
  return (*x_shape[: -len(window) - 1], *(i + 1 for i in last), x_shape[-1])


def _gather(x, slices):
  """A window's elements, `[..., channels, n]`."""
  part = x[(..., *slices, slice(None))]
  lead = part.shape[: part.ndim - len(slices) - 1]
  return np.swapaxes(part.reshape(*lead, -1, part.shape[-1]), -1, -2)


def _scatter_add(x, slices, values):
  """Adds `[..., channels, n]` to a window's elements."""
  part = x[(..., *slices, slice(None))]
  part += np.swapaxes(values, -1, -2).reshape(part.shape)


def _weights(b, alpha, floor):
  """p, v, m and log(v / m) for windows `[..., n]`; alpha `[..., 1]`. Where m <= 0 all weights are equal."""
  m = b.max(-1, keepdims=True)
  safe = np.where(m > 0, m, 1)
  v = np.where(m > 0, np.maximum(b, floor * safe), 1)
  log = np.where(m > 0, np.log(v / safe), 0)
  with np.errstate(invalid="ignore"):
    power = np.where(log == 0, 0, alpha * log)  # the largest have weight 1, also where this is inf * 0
  w = np.exp(power)
  return w / w.sum(-1, keepdims=True), v, m, log


def mean(r, s, alpha, floor=2**-24):
  """f(R - s) + s for windows `[..., n]` and exponents alpha `[...]`, computed as the sum of p_i x_i.

  The two are equal as the p_i sum to 1. In this form nothing cancels where s is much larger than R.
  """
  r, alpha = np.asarray(r, LONG), np.asarray(alpha, LONG)[..., None]
  return (_weights(r - s, alpha, LONG(floor))[0] * r).sum(-1)


def mean_derivatives(b, alpha, floor=2**-24):
  """df/db, `[..., n]`, and df/dalpha, `[...]`, with the conventions of docs/POOLING.md at kinks."""
  b, alpha, floor = np.asarray(b, LONG), np.asarray(alpha, LONG)[..., None], LONG(floor)
  p, v, m, log = _weights(b, alpha, floor)
  f = (p * b).sum(-1, keepdims=True)
  moves = (m > 0) & np.isfinite(alpha)  # elsewhere the weights are constant
  by_v = np.where(moves, np.where(moves, alpha, 0) * p * (b - f) / v, 0)
  floored = b <= floor * m
  by_m = (np.where(floored, by_v, 0) * floor).sum(-1, keepdims=True)
  ties = b == m
  by_b = p + np.where(floored, 0, by_v) + np.where(ties, by_m / ties.sum(-1, keepdims=True), 0)
  return by_b, np.where(moves, p * log * (b - f), 0).sum(-1)


def _scope_axes(x, dims, shift):
  """The axes over which a shift's minimum is taken, for all scopes but "window"."""
  first = 0 if shift == "tensor" else x.ndim - dims - 1
  return tuple(range(first, x.ndim - 1 if shift == "channel" else x.ndim))


def _shifts(x, dims, shift):
  """s as a function of a window's elements, `[..., channels, n]`; it broadcasts to them."""
  if shift is None:
    return lambda r: LONG(0)
  if shift == "window":
    return lambda r: np.minimum(r.min(-1, keepdims=True), 0)
  s = np.minimum(x.min(_scope_axes(x, dims, shift), keepdims=True), 0)
  s = s.reshape(*s.shape[: x.ndim - dims - 1], s.shape[-1], 1)
  return lambda r: s


def pool(x, alpha, window, strides=None, padding="VALID", *, floor=2**-24, shift=None):
  """y, in long doubles."""
  x, shape = np.asarray(x, LONG), out_shape(np.shape(x), window, strides, padding)
  alpha, y = np.broadcast_to(np.asarray(alpha, LONG), shape), np.zeros(shape, LONG)
  shift_of = _shifts(x, len(window), shift)
  for place, slices in places(x.shape[-len(window) - 1 : -1], window, strides, padding):
    at, r = (..., *place, slice(None)), _gather(x, slices)
    y[at] = mean(r, shift_of(r), alpha[at], floor)
  return y


def pullback(x, alpha, cotangent, window, strides=None, padding="VALID", *, floor=2**-24, shift=None):
  """dx and dalpha (of the output's shape), in long doubles, for a cotangent of y."""
  x, shape = np.asarray(x, LONG), out_shape(np.shape(x), window, strides, padding)
  alpha = np.broadcast_to(np.asarray(alpha, LONG), shape)
  cotangent = np.asarray(cotangent, LONG)
  dx, dalpha, ds = np.zeros(x.shape, LONG), np.zeros(shape, LONG), LONG(0)
  shift_of = _shifts(x, len(window), shift)
  for place, slices in places(x.shape[-len(window) - 1 : -1], window, strides, padding):
    at, r = (..., *place, slice(None)), _gather(x, slices)
    by_b, by_alpha = mean_derivatives(r - shift_of(r), alpha[at], floor)
    dalpha[at] = cotangent[at] * by_alpha
    change = cotangent[at][..., None] * by_b
    by_s = cotangent[at][..., None] - change.sum(-1, keepdims=True)
    if shift == "window":
      lowest = (r == r.min(-1, keepdims=True)) & (r < 0)
      change = change + by_s * lowest / np.maximum(lowest.sum(-1, keepdims=True), 1)
    _scatter_add(dx, slices, change)
    ds = ds + by_s[..., 0].reshape(*x.shape[: -len(window) - 1], *[1] * len(window), x.shape[-1])
  return (dx if shift in (None, "window") else dx + _through_shift(x, ds, len(window), shift)), dalpha


def _through_shift(x, ds, dims, shift):
  """The part of dx that flows through the shift to the smallest elements of x, shared by ties."""
  axes = _scope_axes(x, dims, shift)
  lowest = (x == x.min(axes, keepdims=True)) & (x < 0)
  return lowest * ds.sum(axes, keepdims=True) / np.maximum(lowest.sum(axes, keepdims=True), 1)


@dataclasses.dataclass(frozen=True)
class Case:
  """The geometry of a pooling, as drawn by `cases`."""

  batch: tuple[int, ...]
  spatial: tuple[int, ...]
  window: tuple[int, ...]
  strides: tuple[int, ...] | None
  padding: str | tuple[tuple[int, int], ...]

  @property
  def shape(self):
    """x's shape, with two channels."""
    return (*self.batch, *self.spatial, 2)

  @property
  def args(self):
    """The geometry as arguments of a pooling function."""
    return self.window, self.strides, self.padding


@st.composite
def cases(draw):
  """Any geometry of 1 to 3 spatial and 0 to 2 batch axes with windows and strides of 1 to 4."""
  dims = draw(st.integers(1, 3))
  per_axis = lambda low, high: st.tuples(*[st.integers(low, high)] * dims)  # noqa: E731
  window = draw(per_axis(1, 4))
  strides = draw(st.sampled_from([None, window]) | per_axis(1, 4))
  pairs = st.tuples(*[st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)) for k in window])
  padding = draw(st.sampled_from(["SAME", "VALID"]) | pairs)
  needed = window if padding == "VALID" else (1,) * dims
  if not isinstance(padding, str):
    needed = tuple(max(1, k - low - high) for k, (low, high) in zip(window, padding, strict=True))
  spatial = tuple(n + draw(st.integers(0, 4)) for n in needed)
  batch = draw(st.sampled_from([(), (2,), (1, 2)]))
  return Case(batch, spatial, window, strides, padding)

"""Derivatives of polynomial pooling in closed form.

With p_i the weights, normalised, v_i = max(x_i, floor*m) and k elements equal to m:

    dy/dx_i, floored:     p_i
             in between:  p_i (1 + alpha (1 - y / x_i))
             largest:     p_i - alpha / (k m) * sum over those in between of p_j (x_j - y)
    dy/dalpha:            sum_i p_i log(v_i / m) (x_i - y)

The first three are the derivative of the floored formula, in which the floor moves with m; no term of
them is larger than the derivative itself, so nothing cancels. Everything is finite at alpha = inf,
and an all-zero window's derivative is shared equally.

The order of operations is chosen for XLA: a division, log or exponential that two loops share is
stored, anything cheaper is computed twice. This way the reverse pass is five loops, with one array of
x's size between them (which dx overwrites) and two of y's. docs/FORMULATIONS.md has the measurements.
"""

from __future__ import annotations

import jax.numpy as jnp

from ppool_jax.pooling.lehmer_weights import (
  between,
  finite,
  headroom,
  largest,
  log_ratio,
  shifted,
  total,
  weigh,
)
from ppool_jax.pooling.max import valid_elements, window_max
from ppool_jax.pooling.numerics import scale_to_unit

# Negative values beyond this many times a positive element's size count as this in derivatives, so
# that they stay finite; sums of a thousand of them do in float32.
_LARGEST_RATIO = 2.0**112


def derivatives(win, floor, members, shift, alpha, y):
  """dy/dx for every member, and dy/dalpha; arguments as of `lehmer_mean`, and its value y."""
  bases = shifted(win, members, shift)
  if shift is not None:
    y = y * headroom(shift) - shift * headroom(shift)
  top = largest(window_max(win, bases))
  wide_top = win.spread(top)
  weights = weigh(bases, win.valid(), wide_top, win.spread(alpha), floor)
  share = 1 / total(win, win.elements(weights), alpha)
  tie_loss, by_alpha = _window_sums(win, floor, bases, weights, share, top, alpha, y)

  by_member = []
  for x, weight in zip(bases, weights, strict=True):
    is_largest = x >= wide_top
    at_end = is_largest | (x <= floor * wide_top)
    ratio = jnp.maximum(win.spread(y) / jnp.where(at_end, 1.0, x), -_LARGEST_RATIO)
    slope = weight * jnp.where(at_end, 1.0, 1 + finite(win.spread(alpha)) * (1 - ratio))
    by_member.append(slope * win.spread(share) - jnp.where(is_largest, win.spread(tie_loss), 0.0))
  if win.valid():
    by_member = [jnp.where(v, slope, 0.0) for v, slope in zip(win.valid(), by_member, strict=True)]
  return by_member, by_alpha if shift is None else by_alpha / headroom(shift)


def _window_sums(win, floor, bases, weights, share, top, alpha, y):
  """What each of the largest elements loses to those in between, and dy/dalpha, for every window."""
  elements, weights = win.elements(bases), win.elements(weights)
  positive = top > 0
  scale = scale_to_unit(jnp.where(positive, top, 1.0))
  wide_top, wide_scale = win.expand(top), win.expand(scale)
  wide_y = win.expand(jnp.maximum(y * scale, -_LARGEST_RATIO))
  moments = [
    w * (jnp.maximum(x * wide_scale, -_LARGEST_RATIO) - wide_y)
    for x, w in zip(elements, weights, strict=True)
  ]
  middle = [jnp.where(between(x, wide_top, floor), p, 0.0) for x, p in zip(elements, moments, strict=True)]
  logs = [p * log_ratio(x, wide_top, floor) for x, p in zip(elements, moments, strict=True)]
  tie_loss = finite(alpha) * share * win.sum(middle) / (_ties(win, elements, wide_top) * (top * scale))
  by_alpha = share * win.sum(logs) / scale
  return jnp.where(positive, tie_loss, 0.0), jnp.where(positive, by_alpha, 0.0)


def _ties(win, elements, wide_top):
  """How many elements are the largest of their window."""
  ties = [x >= wide_top for x in elements]
  if win.valid():
    ties = [tie & valid for tie, valid in zip(ties, valid_elements(win), strict=True)]
  return win.sum([tie.astype(wide_top.dtype) for tie in ties])

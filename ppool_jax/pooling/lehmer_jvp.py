"""The floored Lehmer mean as a function with its derivative in closed form.

With p_i the weights, normalized, v_i = max(x_i, floor*m) and k elements equal to m:

    dy/dx_i, floored:     p_i
             in between:  p_i (1 + alpha (1 - y / x_i))
             largest:     p_i - alpha / (k m) * sum over those in between of p_j (x_j - y)
    dy/dalpha:            sum_i p_i log(v_i / m) (x_i - y)

The first three are the derivative of the floored formula, in which the floor moves with m. No term of
them is larger than the derivative itself, so nothing cancels. Everything is finite at alpha = inf,
and an all-zero window's derivative is shared equally.

The order of operations is chosen for XLA, which stores a division, logarithm or exponential that two loops
share, and computes anything cheaper twice. In this order the reverse pass is five loops, with one array of
x's size between them (which dx overwrites) and two of y's size (docs/MEASUREMENTS.md).
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from ppool_jax.pooling.dispatch import by_platform
from ppool_jax.pooling.lehmer import (
  cap_infinity,
  lehmer_value,
  log_ratio,
  overflow_scale,
  positive_maximum,
  shift_inputs,
  total_weight,
  weigh,
)
from ppool_jax.pooling.windows import Windows, scale_to_unit

# The name that checkpoint policies know y by.
OUTPUT_NAME = "polynomial_pool"
# Negative values beyond this many times a positive element's size count as this in derivatives, so
# that they stay finite; sums of a thousand of them do in float32.
_LARGEST_RATIO = 2.0**112


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def lehmer_mean(win: Windows, floor: float, x, shift, alpha) -> jax.Array:
  """Polynomial pooling, computed in float32 or float64.

  Args:
    win: the windows over x.
    floor: see `polynomial_pool`.
    x: `[..., *spatial, channels]`, floating.
    shift: s of Eq. 2, `[..., *out, channels]`, or None.
    alpha: `[..., *out, channels]`. Like s, it has the dtype to compute in.

  Returns:
    y, `[..., *out, channels]`, of alpha's dtype.
  """
  return by_platform(functools.partial(lehmer_value, floor), win, x, shift, alpha)


@lehmer_mean.defjvp
def _lehmer_mean_jvp(win, floor, primals, tangents):
  y = checkpoint_name(lehmer_mean(win, floor, *primals), OUTPUT_NAME)
  return y, by_platform(functools.partial(_tangent, floor), win, primals, y, tangents)


def _tangent(floor, win, primals, y, tangents):
  x, shift, alpha = primals
  dx, dshift, dalpha = tangents
  by_input, by_alpha = _derivatives(win, floor, win.input_view(x, alpha.dtype), shift, alpha, y)
  dinputs = win.tangent_view(dx, alpha.dtype)
  if shift is not None:
    dinputs = [d - win.to_input(dshift) for d in dinputs]
  dy = win.sum_input_view([c * d for c, d in zip(by_input, dinputs, strict=True)]) + by_alpha * dalpha
  return dy if shift is None else dy + dshift


def _derivatives(win, floor, inputs, shift, alpha, y):
  """dy/dx as an input view, and dy/dalpha."""
  bases = shift_inputs(win, inputs, shift)
  if shift is not None:
    y = y * overflow_scale(shift) - shift * overflow_scale(shift)
  top = positive_maximum(win.max(bases))
  wide_top = win.to_input(top)
  weights = win.fill_input_view(weigh(bases, wide_top, win.to_input(alpha), floor), 0.0)
  share = 1 / total_weight(win, win.window_view(weights), alpha)
  tie_loss, by_alpha = _window_sums(win, floor, bases, weights, share, top, alpha, y)

  by_input = []
  for x, weight in zip(bases, weights, strict=True):
    is_largest = x >= wide_top
    at_end = is_largest | (x <= floor * wide_top)
    ratio = jnp.maximum(win.to_input(y) / jnp.where(at_end, 1.0, x), -_LARGEST_RATIO)
    slope = weight * jnp.where(at_end, 1.0, 1 + cap_infinity(win.to_input(alpha)) * (1 - ratio))
    by_input.append(slope * win.to_input(share) - jnp.where(is_largest, win.to_input(tie_loss), 0.0))
  return win.fill_input_view(by_input, 0.0), by_alpha if shift is None else by_alpha / overflow_scale(shift)


def _window_sums(win, floor, bases, weights, share, top, alpha, y):
  """What each largest element's derivative loses to the elements in between, and dy/dalpha, per window."""
  elements, weights = win.window_view(bases), win.window_view(weights)
  positive = top > 0
  scale = scale_to_unit(jnp.where(positive, top, 1.0))
  wide_top, wide_scale = win.to_window(top), win.to_window(scale)
  wide_y = win.to_window(jnp.maximum(y * scale, -_LARGEST_RATIO))
  moments = [
    w * (jnp.maximum(x * wide_scale, -_LARGEST_RATIO) - wide_y)
    for x, w in zip(elements, weights, strict=True)
  ]
  pairs = list(zip(elements, moments, strict=True))
  between = [jnp.where(_is_between(x, wide_top, floor), moment, 0.0) for x, moment in pairs]
  logs = [moment * log_ratio(x, wide_top, floor) for x, moment in pairs]
  tie_loss = cap_infinity(alpha) * share * win.sum(between) / (_ties(win, elements, wide_top) * (top * scale))
  by_alpha = share * win.sum(logs) / scale
  return jnp.where(positive, tie_loss, 0.0), jnp.where(positive, by_alpha, 0.0)


def _is_between(x, top, floor: float) -> jax.Array:
  """Whether an element is neither floored (an element equal to floor*m is) nor the largest."""
  return (x > floor * top) & (x < top)


def _ties(win, elements, wide_top):
  """The number of elements that are the largest of their window."""
  ties = [x >= wide_top for x in elements]
  if mask := win.window_mask():
    ties = [tie & m for tie, m in zip(ties, mask, strict=True)]
  return win.sum([tie.astype(wide_top.dtype) for tie in ties])

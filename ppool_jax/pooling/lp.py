"""Lp pooling (Sermanet et al. 2012), y = (sum_i |x_i|^p)^(1/p)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from ppool_jax.pooling.checks import floating, parameter
from ppool_jax.pooling.closed_form import apply, with_derivatives
from ppool_jax.pooling.extremes import masked_elements
from ppool_jax.pooling.windows import windows

# Stands for p = inf.
_HUGE = 1e30


def lp_pool(x, p, window_shape, strides=None, padding="VALID") -> jax.Array:
  """Lp pooling: the sum at p = 1, max |x| at p = inf.

  Computed relative to each window's largest element, so that nothing overflows but y itself, and
  differentiated in closed form: dy/dx_i = sign(x_i) (|x_i| / y)^(p-1). An all-zero window takes the
  derivative of an all-equal one, n^(1/p-1) each.

  Args:
    x: `[..., *spatial, channels]`, floating.
    p: exponent, a number or an array that broadcasts to the output, in [1, inf]. An entry below 1
      inside a computation, where it cannot be refused, gives NaN.
    window_shape, strides, padding: as of `max_pool`.

  Returns:
    `[..., *out, channels]` in x's dtype.

  Raises:
    TypeError, ValueError: for bad arguments, with the argument, its value and what was expected.
  """
  x = floating("x", x)
  win = windows(x.shape, window_shape, strides, padding)
  return apply(_lp_pool, win, x, parameter("p", p, win.out_shape(x.shape), low=1.0))


def _value(win, members, p):
  top, _, _, total, p = _parts(win, members, p)
  return top * total ** (1 / p)


def _derivatives(win, members, p, y):
  _, logs, counted, total, p = _parts(win, members, p)
  wide_p, factor = win.spread(p), win.spread(total ** (1 / p - 1))
  by_member = []
  for x, log, seen in zip(members, logs, counted, strict=True):
    slope = jnp.where(seen, jnp.exp((wide_p - 1) * log), jnp.where(wide_p > 1, 0.0, 1.0))
    by_member.append(jnp.where(x < 0, -1.0, 1.0) * slope * factor)
  if win.valid():
    by_member = [jnp.where(v, slope, 0.0) for v, slope in zip(win.valid(), by_member, strict=True)]
  powers = win.elements(_powers(logs, counted, wide_p))
  mean_log = win.sum([w * log for w, log in zip(powers, win.elements(logs), strict=True)]) / total
  return by_member, y * (mean_log - jnp.log(total) / p) / p


def _parts(win, members, p):
  """Largest |x|; log(|x| / largest), and which members it counts; sum of (|x| / largest)^p; finite p."""
  p = jnp.where(p >= 1, jnp.minimum(p, _HUGE), jnp.nan)
  sizes = [jnp.abs(x) for x in members]
  # The formulas do not depend on what |x| is divided by.
  top = lax.stop_gradient(win.reduce(jnp.maximum, masked_elements(win, sizes, 0.0)))
  wide_top, divisor = win.spread(top), win.spread(jnp.where(top == 0, 1.0, top))
  ratios = [jnp.where(size < wide_top, size / divisor, _one(size)) for size in sizes]
  counted = [ratio > 0 for ratio in ratios]
  if win.valid():
    counted = [seen & v for seen, v in zip(counted, win.valid(), strict=True)]
  logs = [jnp.log(jnp.where(seen, ratio, 1.0)) for seen, ratio in zip(counted, ratios, strict=True)]
  total = win.sum(win.elements(_powers(logs, counted, win.spread(p))))
  return top, logs, counted, total, p


def _one(size):
  """1 with the derivative of size / largest: a quotient rounded below 1 would weigh 0 at p = inf."""
  size = jnp.where(size > 0, size, 1.0)
  return size / lax.stop_gradient(size)


def _powers(logs, counted, wide_p):
  return [jnp.where(seen, jnp.exp(wide_p * log), 0.0) for seen, log in zip(counted, logs, strict=True)]


_lp_pool = with_derivatives(_value, _derivatives)

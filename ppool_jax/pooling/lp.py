"""Lp pooling (Sermanet et al. 2012), y = (sum_i |x_i|^p)^(1/p)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from ppool_jax.pooling.custom_jvp import apply, with_derivatives
from ppool_jax.pooling.max import masked_elements, valid_elements
from ppool_jax.pooling.validation import floating, parameter
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
  top, total = _top_and_total(win, members, _finite(p))
  return top * total ** (1 / _finite(p))


def _derivatives(win, members, p, y):
  p = _finite(p)
  top, total = _top_and_total(win, members, p)
  wide_p, factor = win.spread(p), win.spread(total ** (1 / p - 1))
  by_member = []
  for x, (seen, log) in zip(members, _logs(members, win.valid(), win.spread(top)), strict=True):
    slope = jnp.where(seen, jnp.exp((wide_p - 1) * log), jnp.where(wide_p > 1, 0.0, 1.0))
    by_member.append(jnp.where(x < 0, -1.0, 1.0) * slope * factor)
  if win.valid():
    by_member = [jnp.where(v, slope, 0.0) for v, slope in zip(win.valid(), by_member, strict=True)]
  logs = _logs(win.elements(members), valid_elements(win), win.expand(top))
  powers = _powers(logs, win.expand(p))
  mean_log = win.sum([w * log for w, (_, log) in zip(powers, logs, strict=True)]) / total
  return by_member, y * (mean_log - jnp.log(total) / p) / p


def _finite(p):
  return jnp.where(p >= 1, jnp.minimum(p, _HUGE), jnp.nan)


def _top_and_total(win, members, p):
  """Largest |x| and sum of (|x| / largest)^p of each window."""
  sizes = masked_elements(win, [jnp.abs(x) for x in members], 0.0)
  # The formulas do not depend on what |x| is divided by.
  top = lax.stop_gradient(win.reduce(jnp.maximum, sizes))
  logs = _logs(win.elements(members), valid_elements(win), win.expand(top))
  return top, win.sum(_powers(logs, win.expand(p)))


def _logs(values, valid, top):
  """(whether |x| / largest counts, its logarithm) for all values; an all-zero window is all-equal."""
  divisor = jnp.where(top == 0, 1.0, top)
  logs = []
  for i, size in enumerate(map(jnp.abs, values)):
    ratio = jnp.where(size < top, size / divisor, _one(size))
    seen = ratio > 0 if valid is None else (ratio > 0) & valid[i]
    logs.append((seen, jnp.log(jnp.where(seen, ratio, 1.0))))
  return logs


def _powers(logs, p):
  return [jnp.where(seen, jnp.exp(p * log), 0.0) for seen, log in logs]


def _one(size):
  """1 with the derivative of size / largest: a quotient rounded below 1 would weigh 0 at p = inf."""
  size = jnp.where(size > 0, size, 1.0)
  return size / lax.stop_gradient(size)


_lp_pool = with_derivatives(_value, _derivatives)

"""Lp pooling (Sermanet et al. 2012), y = (sum_i |x_i|^p)^(1/p)."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from ppool_jax.pooling.custom_jvp import define_pool, run_pool
from ppool_jax.pooling.dispatch import resolve_windows
from ppool_jax.pooling.geometry import Padding
from ppool_jax.pooling.validation import as_floating, as_parameter

# Stands for p = inf.
_HUGE = 1e30


def lp_pool(
  x: ArrayLike,
  p: ArrayLike,
  window_shape: Sequence[int],
  strides: Sequence[int] | None = None,
  padding: Padding = "VALID",
) -> jax.Array:
  """Lp pooling: the sum of |x| at p = 1, the largest |x| at p = inf.

  Computed relative to each window's largest element, so that nothing overflows but y itself, and
  differentiated in closed form: dy/dx_i = sign(x_i) (|x_i| / y)^(p-1). An all-zero window takes the
  derivative of an all-equal one, n^(1/p-1) for each of its n elements.

  Args:
    x, window_shape, strides, padding: as in `max_pool`.
    p: the exponent, a number or an array that broadcasts to the output, in [1, inf]. A traced value
      cannot be checked: an entry below 1 gives NaN.

  Returns:
    `[..., *out, channels]` in x's dtype.

  Raises:
    TypeError, ValueError: as `max_pool`; also a bad `p`.
  """
  x = as_floating("x", x)
  win = resolve_windows(x.shape, window_shape, strides, padding)
  return run_pool(_lp_pool, win, x, as_parameter("p", p, win.out_shape(x.shape), low=1.0))


def _value(win, inputs, p):
  top, total = _top_and_total(win, inputs, _finite(p))
  return top * total ** (1 / _finite(p))


def _derivatives(win, inputs, p, y):
  p = _finite(p)
  top, total = _top_and_total(win, inputs, p)
  wide_p, factor = win.to_input(p), win.to_input(total ** (1 / p - 1))
  by_input = []
  for x, (counts, log) in zip(inputs, _logs(inputs, win.input_mask(), win.to_input(top)), strict=True):
    slope = jnp.where(counts, jnp.exp((wide_p - 1) * log), jnp.where(wide_p > 1, 0.0, 1.0))
    by_input.append(jnp.where(x < 0, -1.0, 1.0) * slope * factor)
  logs = _logs(win.window_view(inputs), win.window_mask(), win.to_window(top))
  powers = _powers(logs, win.to_window(p))
  mean_log = win.sum([w * log for w, (_, log) in zip(powers, logs, strict=True)]) / total
  return win.fill_input_view(by_input, 0.0), y * (mean_log - jnp.log(total) / p) / p


def _finite(p):
  return jnp.where(p >= 1, jnp.minimum(p, _HUGE), jnp.nan)


def _top_and_total(win, inputs, p):
  """The largest |x| and the sum of (|x| / largest)^p of each window."""
  # The formulas do not depend on what |x| is divided by.
  top = lax.stop_gradient(win.max([jnp.abs(x) for x in inputs]))
  logs = _logs(win.window_view(inputs), win.window_mask(), win.to_window(top))
  return top, win.sum(_powers(logs, win.to_window(p)))


def _logs(view, mask, top):
  """For each array of a view: whether |x| / largest counts, and its logarithm.

  Padding and zeros do not count; in an all-zero window all elements count as equal.
  """
  divisor = jnp.where(top == 0, 1.0, top)
  logs = []
  for i, size in enumerate(map(jnp.abs, view)):
    ratio = jnp.where(size < top, size / divisor, _one(size))
    counts = ratio > 0 if mask is None else (ratio > 0) & mask[i]
    logs.append((counts, jnp.log(jnp.where(counts, ratio, 1.0))))
  return logs


def _powers(logs, p):
  return [jnp.where(counts, jnp.exp(p * log), 0.0) for counts, log in logs]


def _one(size):
  """1, with the derivative of size / largest: a quotient rounded below 1 would weigh 0 at p = inf."""
  size = jnp.where(size > 0, size, 1.0)
  return size / lax.stop_gradient(size)


_lp_pool = define_pool(_value, _derivatives)

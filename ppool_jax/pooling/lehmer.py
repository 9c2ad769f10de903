"""The floored Lehmer mean of windows: its weights, (max(x_i, floor*m) / m)^alpha, and its value.

Weights are computed as exp(alpha * log(x_i / m)) <= 1, so they neither overflow nor lose the largest element.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ppool_jax.pooling.windows import Windows, scale_to_unit

# Stands for alpha = inf: the ratio nearest to 1 in float64, 1 - 2**-53, still has weight 0, and the product
# with 1 / floor is finite in float32.
_INFINITE_ALPHA = 1e20


def lehmer_value(floor: float, win: Windows, x, shift, alpha) -> jax.Array:
  """The mean, without a derivative of its own; arguments as in `lehmer_jvp.lehmer_mean`."""
  inputs = win.input_view(x, alpha.dtype)
  bases = shift_inputs(win, inputs, shift)
  base_top = positive_maximum(win.max(bases))
  weights = weigh(win.window_view(bases), win.to_window(base_top), win.to_window(alpha), floor)
  weights = win.fill_window_view(weights, 0.0)
  total = total_weight(win, weights, alpha)
  return _weighted_mean(win, win.window_view(inputs), weights, total, win.max(inputs), win.min(inputs))


def _weighted_mean(win, elements, weights, total, top, low):
  """The mean of x within [low, top], computed from its distance to top where it is nearer to top than to 0.

  That distance is rounded more finely, which keeps y from falling, by more than an ulp, as alpha rises.
  """
  scale = scale_to_unit(jnp.maximum(jnp.abs(top), jnp.abs(low)))
  top, low = top * scale, low * scale
  elements = [x * win.to_window(scale) for x in elements]
  mean = win.sum([w * x for w, x in zip(weights, elements, strict=True)]) / total
  below = win.sum([w * (win.to_window(top) - x) for w, x in zip(weights, elements, strict=True)])
  # It is not negative anyway. But XLA stores a quotient with two uses and recomputes a maximum in both.
  below = jnp.maximum(below / total, 0.0)
  return jnp.clip(jnp.where(2 * below < top, top - below, mean), low, top) / scale


def weigh(elements: Sequence[jax.Array], top, alpha, floor: float) -> list[jax.Array]:
  """Weights relative to that of the largest element, which is exactly 1."""
  return [jnp.exp(cap_infinity(alpha) * log_ratio(x, top, floor)) for x in elements]


def total_weight(win: Windows, weights: Sequence[jax.Array], alpha) -> jax.Array:
  """The sum of each window's weights; NaN for alpha < 0."""
  return jnp.where(alpha >= 0, win.sum(weights), jnp.nan)


def cap_infinity(alpha: jax.Array) -> jax.Array:
  """alpha, where inf is replaced by a number of the same effect."""
  return jnp.minimum(alpha, _INFINITE_ALPHA)


def log_ratio(x, top, floor: float) -> jax.Array:
  """log(max(x, floor*m) / m), which is exactly 0 for the largest elements only."""
  log = jnp.log(jnp.maximum(x / top, floor))
  # No ratio below 1 has a larger logarithm, but a back end that rounds quotients may compute one. At
  # alpha = inf that element would count as a tie.
  log = jnp.minimum(log, -jnp.finfo(top.dtype).eps / 2)
  return jnp.where(x < top, log, 0.0)


def positive_maximum(top: jax.Array) -> jax.Array:
  """m, or -inf where m <= 0, so that no element lies below it and all weigh 1. Subnormals count as 0."""
  return jnp.where(top >= jnp.finfo(top.dtype).tiny, top, -jnp.inf)


def shift_inputs(win: Windows, inputs: Sequence[jax.Array], shift: jax.Array | None) -> Sequence[jax.Array]:
  """What weights are computed from, as an input view: x, or x - s times `overflow_scale`."""
  if shift is None:
    return inputs
  return [
    x * win.to_input(overflow_scale(shift)) - win.to_input(shift * overflow_scale(shift)) for x in inputs
  ]


def overflow_scale(shift: jax.Array) -> jax.Array:
  """1, or 1/2 where x - s could overflow; weights do not depend on the scale of x - s."""
  return jnp.where(shift < -0.25 * jnp.finfo(shift.dtype).max, 0.5, 1.0)

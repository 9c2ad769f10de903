"""The weights of polynomial pooling, (max(x_i, floor*m) / m)^alpha.

Computed as exp(alpha * log(x_i / m)) <= 1, they neither overflow nor lose the largest element.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ppool_jax.pooling.windows import Windows

# Stands for alpha = inf: the ratio nearest to 1 in float64, 1 - 2**-53, still weighs 0.
_HUGE = 1e30


def finite(alpha: jax.Array) -> jax.Array:
  """alpha, with a number of the same effect for inf."""
  return jnp.minimum(alpha, _HUGE)


def weigh(elements, valid, top, alpha, floor: float) -> list[jax.Array]:
  """Weights relative to the largest element's, which is exactly 1; 0 for padding."""
  weights = [jnp.exp(finite(alpha) * log_ratio(x, top, floor)) for x in elements]
  if valid:
    weights = [jnp.where(v, w, 0.0) for v, w in zip(valid, weights, strict=True)]
  return weights


def total(win: Windows, weights: Sequence[jax.Array], alpha) -> jax.Array:
  """Sum of each window's weights; NaN for alpha < 0."""
  return jnp.where(alpha >= 0, win.sum(weights), jnp.nan)


def log_ratio(x, top, floor: float) -> jax.Array:
  """log(max(x, floor*m) / m), exactly 0 for the largest alone."""
  log = jnp.log(jnp.maximum(x / top, floor))
  # No ratio below 1 has a larger logarithm, but a back end that rounds quotients may find one; at
  # alpha = inf that element would count as a tie.
  log = jnp.minimum(log, -jnp.finfo(top.dtype).eps / 2)
  return jnp.where(x < top, log, 0.0)


def between(x, top, floor: float) -> jax.Array:
  """Elements that are neither floored (an element equal to floor*m is) nor the largest."""
  return (x > floor * top) & (x < top)


def largest(top: jax.Array) -> jax.Array:
  """m, or -inf where m <= 0: no element lies below it, so all weigh 1. Subnormals count as 0."""
  return jnp.where(top >= jnp.finfo(top.dtype).tiny, top, -jnp.inf)


def shifted(win: Windows, members: Sequence[jax.Array], shift) -> Sequence[jax.Array]:
  """What weights are computed from: x, or x - s times `headroom`."""
  if shift is None:
    return members
  return [x * win.spread(headroom(shift)) - win.spread(shift * headroom(shift)) for x in members]


def headroom(shift: jax.Array) -> jax.Array:
  """1, or 1/2 where x - s could overflow; weights do not depend on scale."""
  return jnp.where(shift < -0.25 * jnp.finfo(shift.dtype).max, 0.5, 1.0)

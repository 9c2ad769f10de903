"""The floored Lehmer mean of windows, with its derivative in closed form."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from ppool_jax.pooling.lehmer_jvp import derivatives
from ppool_jax.pooling.lehmer_weights import largest, shifted, total, weigh
from ppool_jax.pooling.max import masked_elements, valid_elements
from ppool_jax.pooling.numerics import scale_to_unit
from ppool_jax.pooling.platforms import by_platform
from ppool_jax.pooling.windows import Windows

# The name under which the reverse pass keeps y.
KEPT = "polynomial_pool"


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def lehmer_mean(win: Windows, floor: float, x, shift, alpha) -> jax.Array:
  """Polynomial pooling, computed in float32 or float64.

  Args:
    win: the windows over x.
    floor: see `polynomial_pool`.
    x: `[..., *spatial, channels]`, floating.
    shift: s of Eq. 2 or None, `[..., *out, channels]`.
    alpha: `[..., *out, channels]`, of the dtype to compute in, as is s.

  Returns:
    y, `[..., *out, channels]`, of alpha's dtype.
  """
  return by_platform(functools.partial(_value, floor), win, x, shift, alpha)


def _value(floor, win, x, shift, alpha):
  members = win.members(x, alpha.dtype)
  bases = shifted(win, members, shift)
  base_top = largest(win.reduce(jnp.maximum, masked_elements(win, bases, -jnp.inf)))
  weights = weigh(win.elements(bases), valid_elements(win), win.expand(base_top), win.expand(alpha), floor)
  top = win.reduce(jnp.maximum, masked_elements(win, members, -jnp.inf))
  low = win.reduce(jnp.minimum, masked_elements(win, members, jnp.inf))
  return _weighted_mean(win, win.elements(members), weights, total(win, weights, alpha), top, low)


def _weighted_mean(win, elements, weights, total_weight, top, low):
  """Mean of x within [low, top]; counted from top where it is nearer to that than to 0.

  Rounding at the distance from top keeps y from falling, by more than an ulp, as alpha rises.
  """
  scale = scale_to_unit(jnp.maximum(jnp.abs(top), jnp.abs(low)))
  top, low = top * scale, low * scale
  elements = [x * win.expand(scale) for x in elements]
  mean = win.sum([w * x for w, x in zip(weights, elements, strict=True)]) / total_weight
  below = win.sum([w * (win.expand(top) - x) for w, x in zip(weights, elements, strict=True)])
  # Not negative anyway: but XLA fuses a maximum, and not a quotient, into its two uses.
  below = jnp.maximum(below / total_weight, 0.0)
  return jnp.clip(jnp.where(2 * below < top, top - below, mean), low, top) / scale


@lehmer_mean.defjvp
def _lehmer_mean_jvp(win, floor, primals, tangents):
  y = checkpoint_name(lehmer_mean(win, floor, *primals), KEPT)
  return y, by_platform(functools.partial(_tangent, floor), win, primals, y, tangents)


def _tangent(floor, win, primals, y, tangents):
  x, shift, alpha = primals
  dx, dshift, dalpha = tangents
  by_member, by_alpha = derivatives(win, floor, win.members(x, alpha.dtype), shift, alpha, y)
  dmembers = win.tangents(dx, alpha.dtype)
  if shift is not None:
    dmembers = [d - win.spread(dshift) for d in dmembers]
  dy = win.total([c * d for c, d in zip(by_member, dmembers, strict=True)]) + by_alpha * dalpha
  return dy if shift is None else dy + dshift

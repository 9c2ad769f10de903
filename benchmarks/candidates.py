"""The functions that the benchmarks compare: `(x, alpha) -> y` for 2x2 windows of stride 2.

x is `[N, H, W, C]` >= 0 with even H and W; alpha is `[N, H/2, W/2, C]`.
"""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import ppool_jax

_WINDOW = ((2, 2), (2, 2))
_TINY = 1e-6


def library() -> dict:
  """The poolings of this library."""
  mask = np.full((2, 2), 0.1, np.float32)  # a NumPy array: listing the poolings starts no device
  return {
    "ppool": lambda x, a: ppool_jax.polynomial_pool(x, a, *_WINDOW),
    "ppool, scalar alpha": lambda x, a: ppool_jax.polynomial_pool(x, a[0, 0, 0, 0], *_WINDOW),
    "max": lambda x, a: ppool_jax.max_pool(x, *_WINDOW),
    "avg": lambda x, a: ppool_jax.avg_pool(x, *_WINDOW),
    "lp, p = 3": lambda x, a: ppool_jax.lp_pool(x, 3.0, *_WINDOW),
    "soft": lambda x, a: ppool_jax.soft_pool(x, *_WINDOW),
    "mixed": lambda x, a: ppool_jax.mixed_pool(x, 0.5, *_WINDOW),
    "gated": lambda x, a: ppool_jax.gated_pool(x, mask, *_WINDOW),
    "dpp": lambda x, a: ppool_jax.detail_preserving_pool(x, 0.0, 0.0, *_WINDOW),
    "strided": lambda x, a: ppool_jax.strided_pool(x, (2, 2)),
  }


def flax_poolings() -> dict:
  """The poolings of Flax."""
  return {
    "flax max_pool": lambda x, a: nn.max_pool(x, *_WINDOW),
    "flax avg_pool": lambda x, a: nn.avg_pool(x, *_WINDOW),
  }


def limits() -> dict:
  """Lower bounds of any pooling: a copy of x; one logarithm and exponential per element."""
  return {
    "copy": lambda x, a: 2 * x,
    "log + exp pass": lambda x, a: jnp.exp(2 * jnp.log(jnp.maximum(x, _TINY))),
  }


def formulations() -> dict:
  """Other formulations of P-pooling with an absolute floor of 1e-6; JAX differentiates all but "bare".

  Only the first is exactly Eq. 1; it overflows for x^(alpha+1) > 3.4e38.
  """
  return {
    "Eq. 1 as written": _eq1,
    "slices": _log_space,
    "slices, remat": jax.checkpoint(_log_space),
    "6-D reshape": _reshape,
    "6-D reshape, remat": jax.checkpoint(_reshape),
    "reduce_window": _reduce_window,
    "im2col": _im2col,
    "closed form, bare": _bare,
  }


def _taps(x):
  return [x[:, i::2, j::2] for i in range(2) for j in range(2)]


def _eq1(x, alpha):
  taps = _taps(x)
  return sum(t ** (alpha + 1) for t in taps) / sum(t**alpha for t in taps)


def _log_space(x, alpha):
  taps = jnp.stack(_taps(x))
  weights = jax.nn.softmax(alpha * jnp.log(jnp.maximum(taps, _TINY)), axis=0)
  return jnp.sum(weights * taps, axis=0)


def _reshape(x, alpha):
  n, h, w, c = x.shape
  folded = x.reshape(n, h // 2, 2, w // 2, 2, c)
  logits = alpha[:, :, None, :, None] * jnp.log(jnp.maximum(folded, _TINY))
  return jnp.sum(jax.nn.softmax(logits, axis=(2, 4)) * folded, axis=(2, 4))


def _reduce_window(x, alpha):
  def total(z):
    return lax.reduce_window(z, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

  # One maximum per example keeps the powers in range; one per window would need two passes.
  top = lax.stop_gradient(jnp.max(x, (1, 2, 3), keepdims=True))
  wide = jnp.repeat(jnp.repeat(alpha, 2, 1), 2, 2)
  weights = jnp.exp(wide * jnp.log(jnp.maximum(x / top, _TINY)))
  return total(weights * x) / total(weights)


def _im2col(x, alpha):
  n, h, w, c = x.shape
  patches = lax.conv_general_dilated_patches(
    x, (2, 2), (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
  )
  patches = patches.reshape(n, h // 2, w // 2, c, 4)
  weights = jax.nn.softmax(alpha[..., None] * jnp.log(jnp.maximum(patches, _TINY)))
  return jnp.sum(weights * patches, axis=-1)


def _statistics(x, alpha):
  """Folded taps and their largest, logarithms and weights."""
  n, h, w, c = x.shape
  folded = x.reshape(n, h // 2, 2, w // 2, 2, c)
  taps = [folded[:, :, i, :, j] for i in range(2) for j in range(2)]
  top = functools.reduce(jnp.maximum, taps)
  logs = [jnp.log(jnp.maximum(tap / top, _TINY)) for tap in taps]
  weights = [jnp.exp(alpha * log) for log in logs]
  return taps, top, logs, weights


@jax.custom_vjp
def _bare(x, alpha):
  """The closed form without ties, floor and shift, which make it exact; reverse mode only."""
  taps, _, _, weights = _statistics(x, alpha)
  return sum(w * tap for w, tap in zip(weights, taps, strict=True)) / sum(weights)


def _bare_forward(x, alpha):
  y = _bare(x, alpha)
  return y, (x, alpha, y)


def _bare_reverse(residuals, dy):
  x, alpha, y = residuals
  taps, top, logs, weights = _statistics(x, alpha)
  scale = dy / sum(weights)
  parts = [
    scale * w * (1 + alpha * (1 - y / jnp.maximum(tap, _TINY * top)))
    for w, tap in zip(weights, taps, strict=True)
  ]
  shape = (*y.shape[:2], 2, y.shape[2], 2, y.shape[3])
  tap_index = 2 * lax.broadcasted_iota(int, shape, 2) + lax.broadcasted_iota(int, shape, 4)
  dx = jnp.broadcast_to(parts[3][:, :, None, :, None], shape)
  for i in (2, 1, 0):
    dx = jnp.where(tap_index == i, parts[i][:, :, None, :, None], dx)
  dalpha = scale * sum(w * log * (tap - y) for w, log, tap in zip(weights, logs, taps, strict=True))
  return lax.optimization_barrier(dx).reshape(x.shape), dalpha


_bare.defvjp(_bare_forward, _bare_reverse)

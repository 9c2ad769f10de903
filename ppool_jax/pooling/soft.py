"""SoftPool (Stergiou et al., "Refining activation downsampling with SoftPool", ICCV 2021)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ppool_jax.pooling.checks import floating
from ppool_jax.pooling.closed_form import apply, with_derivatives
from ppool_jax.pooling.extremes import masked_elements
from ppool_jax.pooling.windows import windows


def soft_pool(x, window_shape, strides=None, padding="VALID") -> jax.Array:
  """SoftPool: y = sum_i w_i x_i with w = softmax of the window.

  The gradient is w_i (1 + x_i - y); the authors' CUDA operator ships w_i. Args and errors as of
  `max_pool`; x may be negative. Returns `[..., *out, channels]` in x's dtype.
  """
  x = floating("x", x)
  return apply(_soft_pool, windows(x.shape, window_shape, strides, padding), x)


def _value(win, members):
  weights = win.elements(_softmax(win, members))
  return win.sum([w * x for w, x in zip(weights, win.elements(members), strict=True)])


def _derivatives(win, members, y):
  weights = _softmax(win, members)
  return ([w * (1 + (x - win.spread(y))) for w, x in zip(weights, members, strict=True)],)


def _softmax(win, members):
  top = win.reduce(jnp.maximum, masked_elements(win, members, -jnp.inf))
  # The weights do not depend on what is subtracted.
  top = win.spread(jax.lax.stop_gradient(top))
  weights = [jnp.exp(x - top) for x in members]
  if win.valid():
    weights = [jnp.where(v, w, 0.0) for v, w in zip(win.valid(), weights, strict=True)]
  total = win.spread(win.sum(win.elements(weights)))
  return [w / total for w in weights]


_soft_pool = with_derivatives(_value, _derivatives)

"""SoftPool (Stergiou et al., "Refining activation downsampling with SoftPool", ICCV 2021)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from ppool_jax.pooling.custom_jvp import apply, with_derivatives
from ppool_jax.pooling.max import masked_elements, valid_elements
from ppool_jax.pooling.validation import floating
from ppool_jax.pooling.windows import windows


def soft_pool(x, window_shape, strides=None, padding="VALID") -> jax.Array:
  """SoftPool: y = sum_i w_i x_i with w = softmax of the window.

  The gradient is w_i (1 + x_i - y); the authors' CUDA operator ships w_i. Args and errors as of
  `max_pool`; x may be negative. Returns `[..., *out, channels]` in x's dtype.
  """
  x = floating("x", x)
  return apply(_soft_pool, windows(x.shape, window_shape, strides, padding), x)


def _value(win, members):
  elements = win.elements(members)
  weights = _exponentials(elements, valid_elements(win), win.expand(_top(win, members)))
  # Scaled by the window's size, so that no sum overflows. The quotient comes last: XLA stores it, and
  # would compute anything cheaper again in every loop of the reverse pass.
  scaled = win.sum([w * (x / win.size) for w, x in zip(weights, elements, strict=True)])
  return scaled / (win.sum(weights) / win.size)


def _derivatives(win, members, y):
  weights = _exponentials(members, win.valid(), win.spread(_top(win, members)))
  total = win.spread(win.sum(win.elements(weights)))
  return ([w / total * (1 + (x - win.spread(y))) for w, x in zip(weights, members, strict=True)],)


def _top(win, members):
  """Largest element of each window; a constant, as the softmax does not depend on what is subtracted."""
  return lax.stop_gradient(win.reduce(jnp.maximum, masked_elements(win, members, -jnp.inf)))


def _exponentials(values, valid, top):
  exponentials = [jnp.exp(x - top) for x in values]
  if valid:
    exponentials = [jnp.where(v, w, 0.0) for v, w in zip(valid, exponentials, strict=True)]
  return exponentials


_soft_pool = with_derivatives(_value, _derivatives)

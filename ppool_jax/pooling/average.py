"""Average pooling over the elements of each window, padding left out."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ppool_jax.pooling.custom_jvp import apply, with_derivatives
from ppool_jax.pooling.max import masked_elements
from ppool_jax.pooling.numerics import scale_to_unit
from ppool_jax.pooling.validation import floating
from ppool_jax.pooling.windows import Windows, windows


def avg_pool(x, window_shape, strides=None, padding="VALID") -> jax.Array:
  """Average pooling, as `flax.linen.avg_pool` with `count_include_pad=False`.

  Args and errors as of `max_pool`. Returns `[..., *out, channels]` in x's dtype.
  """
  x = floating("x", x)
  return apply(window_mean, windows(x.shape, window_shape, strides, padding), x)


def _value(win: Windows, members: Sequence[jax.Array]) -> jax.Array:
  low = win.reduce(jnp.minimum, masked_elements(win, members, jnp.inf))
  top = win.reduce(jnp.maximum, masked_elements(win, members, -jnp.inf))
  # Dividing each element by the count first would not keep the sum in range: XLA takes a constant
  # power of two out of a sum.
  scale = scale_to_unit(jnp.maximum(jnp.abs(top), jnp.abs(low)))
  scaled = win.sum([x * win.expand(scale) for x in win.elements(members)])
  return jnp.clip(scaled / win.counts() / scale, low, top)


def _derivatives(win, members, y):
  share = win.spread(jnp.broadcast_to(jnp.asarray(1 / win.counts(), y.dtype), y.shape))
  if win.valid():
    return ([jnp.where(valid, share, 0.0) for valid in win.valid()],)
  return ([share] * len(members),)


window_mean = with_derivatives(_value, _derivatives)

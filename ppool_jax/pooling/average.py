"""Average pooling over the elements of each window, padding left out."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ppool_jax.pooling.checks import floating
from ppool_jax.pooling.closed_form import apply, with_derivatives
from ppool_jax.pooling.extremes import masked_elements
from ppool_jax.pooling.windows import Windows, windows


def avg_pool(x, window_shape, strides=None, padding="VALID") -> jax.Array:
  """Average pooling, as `flax.linen.avg_pool` with `count_include_pad=False`.

  Args and errors as of `max_pool`. Returns `[..., *out, channels]` in x's dtype.
  """
  x = floating("x", x)
  return apply(window_mean, windows(x.shape, window_shape, strides, padding), x)


def _value(win: Windows, members: Sequence[jax.Array]) -> jax.Array:
  # Divides first, so that no sum overflows; then rounding could still leave the window's range.
  share = jnp.asarray(1 / win.counts(), members[0].dtype)
  share = win.expand(share) if win.valid() else share
  mean = win.sum([x * share for x in win.elements(members)])
  low = win.reduce(jnp.minimum, masked_elements(win, members, jnp.inf))
  return jnp.clip(mean, low, win.reduce(jnp.maximum, masked_elements(win, members, -jnp.inf)))


def _derivatives(win, members, y):
  share = win.spread(jnp.broadcast_to(jnp.asarray(1 / win.counts(), y.dtype), y.shape))
  if win.valid():
    return ([jnp.where(valid, share, 0.0) for valid in win.valid()],)
  return ([share] * len(members),)


window_mean = with_derivatives(_value, _derivatives)

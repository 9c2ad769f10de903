"""Average pooling over the elements of each window, padding left out."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ppool_jax.pooling.checks import floating
from ppool_jax.pooling.closed_form import apply
from ppool_jax.pooling.windows import Windows, windows


def avg_pool(x, window_shape, strides=None, padding="VALID") -> jax.Array:
  """Average pooling, as `flax.linen.avg_pool` with `count_include_pad=False`.

  Args and errors as of `max_pool`. Returns `[..., *out, channels]` in x's dtype.
  """
  x = floating("x", x)
  return apply(window_mean, windows(x.shape, window_shape, strides, padding), x)


def window_mean(win: Windows, members: Sequence[jax.Array]) -> jax.Array:
  """Mean of each window, `[..., *out, channels]`; divides first, so that no sum overflows."""
  share = jnp.asarray(1 / win.counts(), members[0].dtype)
  if win.valid():
    share = win.expand(share)
  return win.sum([x * share for x in win.elements(members)])

"""Average pooling over the elements of each window, without the padding."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ppool_jax.pooling.custom_jvp import define_pool, run_pool
from ppool_jax.pooling.dispatch import resolve_windows
from ppool_jax.pooling.geometry import Padding
from ppool_jax.pooling.validation import as_floating
from ppool_jax.pooling.windows import Windows, scale_to_unit


def avg_pool(
  x: ArrayLike,
  window_shape: Sequence[int],
  strides: Sequence[int] | None = None,
  padding: Padding = "VALID",
) -> jax.Array:
  """Average pooling, as `flax.linen.avg_pool` with `count_include_pad=False`.

  Arguments and errors as in `max_pool`. Returns `[..., *out, channels]` in x's dtype.
  """
  x = as_floating("x", x)
  return run_pool(window_mean, resolve_windows(x.shape, window_shape, strides, padding), x)


def _value(win: Windows, inputs: Sequence[jax.Array]) -> jax.Array:
  low, top = win.min(inputs), win.max(inputs)
  # To divide each element by the count first would not keep the sum in range: XLA takes a constant
  # power of two out of a sum.
  scale = scale_to_unit(jnp.maximum(jnp.abs(top), jnp.abs(low)))
  scaled = win.sum([x * win.to_window(scale) for x in win.window_view(inputs)])
  return jnp.clip(scaled / win.counts() / scale, low, top)


def _derivatives(win, inputs, y):
  share = win.to_input(jnp.broadcast_to(jnp.asarray(1 / win.counts(), y.dtype), y.shape))
  return (win.fill_input_view([share] * len(inputs), 0.0),)


# The mean of each window, `(win, inputs) -> y`.
window_mean = define_pool(_value, _derivatives)

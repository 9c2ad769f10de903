"""SoftPool (Stergiou et al., "Refining activation downsampling with SoftPool", ICCV 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from ppool_jax.pooling.custom_jvp import define_pool, run_pool
from ppool_jax.pooling.dispatch import resolve_windows
from ppool_jax.pooling.geometry import Padding
from ppool_jax.pooling.validation import as_floating


def soft_pool(
  x: ArrayLike,
  window_shape: Sequence[int],
  strides: Sequence[int] | None = None,
  padding: Padding = "VALID",
) -> jax.Array:
  """SoftPool: y = sum_i w_i x_i with w = softmax of the window.

  The gradient is w_i (1 + x_i - y); the authors' CUDA operator has w_i. Arguments and errors as of
  `max_pool`; x may be negative. Returns `[..., *out, channels]` in x's dtype.
  """
  x = as_floating("x", x)
  return run_pool(_soft_pool, resolve_windows(x.shape, window_shape, strides, padding), x)


def _value(win, inputs):
  elements = win.window_view(inputs)
  weights = win.fill_window_view(_exponentials(elements, win.to_window(_top(win, inputs))), 0.0)
  # Scaled by the window's size, so that no sum overflows. The quotient comes last: XLA stores it, and
  # would compute anything cheaper again in every loop of the reverse pass.
  scaled = win.sum([w * (x / win.size) for w, x in zip(weights, elements, strict=True)])
  return scaled / (win.sum(weights) / win.size)


def _derivatives(win, inputs, y):
  weights = win.fill_input_view(_exponentials(inputs, win.to_input(_top(win, inputs))), 0.0)
  total = win.to_input(win.sum(win.window_view(weights)))
  return ([w / total * (1 + (x - win.to_input(y))) for w, x in zip(weights, inputs, strict=True)],)


def _top(win, inputs):
  """The largest element of each window; a constant, as softmax does not depend on what is subtracted."""
  return lax.stop_gradient(win.max(inputs))


def _exponentials(values, top):
  return [jnp.exp(x - top) for x in values]


_soft_pool = define_pool(_value, _derivatives)

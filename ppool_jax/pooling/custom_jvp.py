"""Runs the baseline poolings, and defines poolings with a derivative in closed form.

Both functions take a pooling as `(win, inputs, *parameters) -> y` with `inputs` the input view of x
(windows.py).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ppool_jax.pooling.validation import compute_dtype
from ppool_jax.pooling.windows import Windows


def run_pool(pool: Callable, win: Windows, x: jax.Array, *parameters: Any) -> jax.Array:
  """Pools x. The reverse pass keeps x and the parameters only, and computes the rest again.

  Args:
    pool: `(win, inputs, *parameters) -> y`; a module-level function, because `jit` caches programs by its
      identity.
    win: the windows over x.
    x: `[..., *spatial, channels]`, floating.
    *parameters: arrays. `pool` gets them, as the inputs, in float32, or float64 for float64 x.

  Returns:
    `[..., *out, channels]` in x's dtype.
  """
  return jax.checkpoint(functools.partial(_run, pool, win))(x, *parameters)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _run(pool: Callable, win: Windows, x: jax.Array, *parameters: jax.Array) -> jax.Array:
  dtype = compute_dtype(x)
  y = pool(win, win.input_view(x, dtype), *(p.astype(dtype) for p in parameters))
  return y.astype(x.dtype)


def define_pool(value: Callable, derivatives: Callable) -> Callable:
  """A pooling with a derivative in closed form, where the traced one would cancel or overflow.

  Args:
    value: `(win, inputs, *parameters) -> y`, all parameters broadcast to y.
    derivatives: `(win, inputs, *parameters, y) -> (by_input, *by_parameter)`: dy/dx as an input view, and
      dy/dparameter for every window.

  Returns:
    `(win, inputs, *parameters) -> y` for parameters that broadcast to y; a `pool` of `run_pool`.
  """
  core = jax.custom_jvp(value, nondiff_argnums=(0,))

  @core.defjvp
  def _jvp(win, primals, tangents):
    y = core(win, *primals)
    by_input, *by_parameters = derivatives(win, *primals, y)
    dy = win.sum_input_view([c * d for c, d in zip(by_input, tangents[0], strict=True)])
    return y, sum((c * d for c, d in zip(by_parameters, tangents[1:], strict=True)), start=dy)

  def pool(win, inputs, *parameters):
    shape = jax.eval_shape(win.sum_input_view, inputs).shape
    return core(win, inputs, *(jnp.broadcast_to(p, shape) for p in parameters))

  return pool

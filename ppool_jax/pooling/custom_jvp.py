"""What the baselines share: how a pooling of members is run, and given a derivative of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ppool_jax.pooling.validation import compute_dtype
from ppool_jax.pooling.windows import Windows


def apply(pool: Callable, win: Windows, x: jax.Array, *parameters) -> jax.Array:
  """Pools x, keeping x and the parameters alone for the reverse pass.

  Args:
    pool: `(win, members, *parameters) -> y`; a function of a module, as programs are kept by it.
    win: the windows over x.
    x: `[..., *spatial, channels]`, floating.
    *parameters: arrays; float32 (float64 for float64 x) when `pool` sees them, as the members are.

  Returns:
    `[..., *out, channels]` in x's dtype.
  """
  return jax.checkpoint(functools.partial(_run, pool, win))(x, *parameters)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _run(pool, win, x, *parameters):
  dtype = compute_dtype(x)
  y = pool(win, win.members(x, dtype), *(p.astype(dtype) for p in parameters))
  return y.astype(x.dtype)


def with_derivatives(value: Callable, derivatives: Callable) -> Callable:
  """A pooling whose derivative is written down, where the traced one would cancel or overflow.

  Args:
    value: `(win, members, *parameters) -> y`, all parameters broadcast to y.
    derivatives: `(win, members, *parameters, y) -> (by_member, *by_parameter)`: dy/dx for every
      member, dy/dparameter for every window.

  Returns:
    `(win, members, *parameters) -> y` for parameters that broadcast to y, for `apply`.
  """
  core = jax.custom_jvp(value, nondiff_argnums=(0,))

  @core.defjvp
  def _jvp(win, primals, tangents):
    y = core(win, *primals)
    by_member, *by_parameters = derivatives(win, *primals, y)
    dy = win.total([c * d for c, d in zip(by_member, tangents[0], strict=True)])
    return y, sum((c * d for c, d in zip(by_parameters, tangents[1:], strict=True)), start=dy)

  def pool(win, members, *parameters):
    shape = jax.eval_shape(win.total, members).shape
    return core(win, members, *(jnp.broadcast_to(p, shape) for p in parameters))

  return pool

"""The shift s of Eq. 2, with which polynomial pooling takes negative inputs."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from ppool_jax.pooling.windows import Windows

SCOPES = (None, "window", "channel", "example", "tensor")


def shift_for(scope: str | None, win: Windows, x: jax.Array) -> jax.Array | None:
  """s = min(0, smallest x of the scope), in a shape that broadcasts to the output; None for no scope.

  Args:
    scope: one of SCOPES.
    win: the windows over x.
    x: `[..., *spatial, channels]`.
  """
  if scope is None:
    return None
  if scope == "window":
    smallest = win.min(win.input_view(x, x.dtype))
  else:
    first = 0 if scope == "tensor" else x.ndim - len(win.window) - 1
    last = x.ndim - 1 if scope == "channel" else x.ndim
    smallest = _min_over(tuple(range(first, last)), x)
  # Compared in this order, a NaN reaches all of its scope.
  return jnp.where(smallest >= 0, 0.0, smallest)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _min_over(axes, x):
  """The minimum over axes, which are kept with size 1; ties share the derivative."""
  return jnp.min(x, axes, keepdims=True)


@_min_over.defjvp
def _min_over_jvp(axes, primals, tangents):
  (x,), (dx,) = primals, tangents
  smallest = _min_over(axes, x)
  tie = x == smallest
  total = jnp.sum(jnp.where(tie, dx, 0), axes, keepdims=True)
  return smallest, total / jnp.maximum(jnp.sum(tie, axes, keepdims=True), 1)

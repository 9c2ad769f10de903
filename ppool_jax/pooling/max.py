"""Largest and smallest elements of windows; max pooling.

Ties share the gradient, 1/k each, where XLA's max pooling gives it all to one of them; so the limit
of P-pooling at alpha = inf has the same gradient, and a permuted window the permuted gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ppool_jax.pooling.validation import floating
from ppool_jax.pooling.windows import Windows, windows


def max_pool(x, window_shape, strides=None, padding="VALID") -> jax.Array:
  """Max pooling.

  Like `flax.linen.max_pool`, except that ties share the gradient (and that its reverse pass takes a
  fraction of the time and memory, `benchmarks/`).

  Args:
    x: `[..., *spatial, channels]`, floating.
    window_shape: 1 to 3 positive integers, one for each spatial axis.
    strides: as many, or None for all ones.
    padding: "SAME", "VALID" or a (low, high) pair for each spatial axis. Padding is in no window.

  Returns:
    `[..., *out, channels]` in x's dtype.

  Raises:
    TypeError, ValueError: for bad arguments, with the argument, its value and what was expected.
  """
  x = floating("x", x)
  win = windows(x.shape, window_shape, strides, padding)
  return jax.checkpoint(functools.partial(_max_pool, win))(x)


@functools.partial(jax.jit, static_argnums=0)
def _max_pool(win: Windows, x):
  return window_max(win, win.members(x, x.dtype))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def window_max(win: Windows, members: Sequence[jax.Array]) -> jax.Array:
  """Largest element of each window, `[..., *out, channels]`; ties share the derivative."""
  return win.reduce(jnp.maximum, masked_elements(win, members, -jnp.inf))


@window_max.defjvp
def _window_max_jvp(win, primals, tangents):
  (members,), (dmembers,) = primals, tangents
  top = window_max(win, members)
  ties = [z == win.spread(top) for z in members]
  if win.valid():
    ties = [tie & valid for tie, valid in zip(ties, win.valid(), strict=True)]
  count = win.sum([tie.astype(top.dtype) for tie in win.elements(ties)])
  selected = win.total([jnp.where(tie, d, 0) for tie, d in zip(ties, dmembers, strict=True)])
  return top, selected / jnp.maximum(count, 1)


def window_min(win: Windows, members: Sequence[jax.Array]) -> jax.Array:
  """Smallest element of each window, `[..., *out, channels]`; ties share the derivative."""
  return -window_max(win, [-z for z in members])


def masked_elements(win: Windows, members: Sequence[jax.Array], fill: float) -> list[jax.Array]:
  """The windows' elements, with `fill` in the place of padding."""
  if win.valid():
    members = [jnp.where(valid, z, fill) for valid, z in zip(win.valid(), members, strict=True)]
  return win.elements(members)


def valid_elements(win: Windows):
  """`win.valid()` as elements; None without padding."""
  valid = win.valid()
  return None if valid is None else win.elements(valid)

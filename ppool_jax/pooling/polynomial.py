"""Polynomial pooling, Eq. 1-4 of Wei et al., "Building Detail-Sensitive Semantic Segmentation
Networks with Polynomial Pooling", CVPR 2019.

With m the largest element of a window R, `polynomial_pool` computes

    w_i = max(x_i, floor*m)^alpha / sum_j max(x_j, floor*m)^alpha,    y = sum_i w_i x_i,

the Lehmer mean of Eq. 1 for elements above floor*m. The floor is relative to the window, so scaling
x scales y, and y is continuous at alpha = 0 where a window holds zeros, which Eq. 1 is not.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ppool_jax.pooling.lehmer import KEPT, lehmer_mean
from ppool_jax.pooling.platforms import joined
from ppool_jax.pooling.shift import SCOPES, shift_for
from ppool_jax.pooling.validation import compute_dtype, floating, parameter
from ppool_jax.pooling.windows import Windows, windows


def polynomial_pool(
  x, alpha, window_shape, strides=None, padding="VALID", *, floor=2**-24, shift=None
) -> jax.Array:
  """Polynomial pooling: average at alpha = 0, max at alpha = inf, anything between (Eq. 1).

  >>> import jax.numpy as jnp
  >>> x = jnp.array([[1.0], [2.0], [3.0], [4.0]])
  >>> polynomial_pool(x, 1.0, (2,), (2,)).ravel()  # (1 + 4) / (1 + 2), (9 + 16) / (3 + 4)
  Array([1.6666666, 3.5714285], dtype=float32)

  Args:
    x: `[..., *spatial, channels]`, floating; 1 to 3 spatial axes, any number of batch axes or none.
      Meant for x >= 0. Where a window has a positive element, negative ones weigh as the floor does
      (see `shift`); where it has none, y is the mean.
    alpha: exponent, a number or an array that broadcasts to the output, in [0, inf]. An entry below
      0 inside a computation, where it cannot be refused, gives NaN.
    window_shape: the window, one positive integer for each spatial axis.
    strides: as many, or None for all ones (as in `flax.linen.max_pool`).
    padding: "SAME", "VALID" or a (low, high) pair for each spatial axis. Padding is in no window.
    floor: elements count as at least this fraction of their window's largest, in (0, 1).
    shift: how to treat negative inputs, Eq. 2: y = f(R - s) + s with s = min(0, smallest x) over
      each "window", "channel" (of each example), "example" (without batch axes: all of x) or
      "tensor"; None for no shift. "tensor" makes an example's output depend on the rest of its
      batch. The derivative flows through s (the authors' code stops it).

  Returns:
    `[..., *out, channels]` in x's dtype, computed in float32 for 16-bit x. dx has x's dtype and
    dalpha alpha's. Derivatives are those of the formula above, in forward and reverse mode; of the
    second order and higher they take ties of the largest element for ties that stay. What holds at
    kinks is said in docs/POOLING.md. The reverse pass keeps x, alpha and y.

  Raises:
    TypeError, ValueError: for bad arguments, with the argument, its value and what was expected.
  """
  x = floating("x", x)
  x = joined(windows(x.shape, window_shape, strides, padding), x)
  return pool_joined(x, alpha, window_shape, strides, padding, floor=floor, shift=shift)


def pool_joined(x, alpha, window_shape, strides, padding, *, floor, shift) -> jax.Array:
  """`polynomial_pool` of an x that shares its derivative with where alpha comes from, and is `joined`."""
  win = windows(x.shape, window_shape, strides, padding)
  alpha = parameter("alpha", alpha, win.out_shape(x.shape), low=0.0)
  if not isinstance(floor, float | np.floating) or not 0 < floor < 1:
    raise ValueError(f"floor: expected a number in (0, 1), got {floor!r}")
  if shift not in SCOPES:
    raise ValueError(f"shift: expected one of {SCOPES}, got {shift!r}")
  keep_y = jax.checkpoint_policies.save_only_these_names(KEPT)
  return jax.checkpoint(functools.partial(_pool, win, float(floor), shift), policy=keep_y)(x, alpha)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _pool(win: Windows, floor: float, scope: str | None, x, alpha):
  dtype = compute_dtype(x)
  out_shape = win.out_shape(x.shape)
  shift = shift_for(scope, win, x.astype(dtype))
  alpha = jnp.broadcast_to(alpha.astype(dtype), out_shape)
  if shift is not None:
    shift = jnp.broadcast_to(shift, out_shape)
    # A NaN in the scope is one in all of its windows, also those without it.
    alpha = alpha + 0 * jax.lax.stop_gradient(shift)
  return lehmer_mean(win, floor, x, shift, alpha).astype(x.dtype)

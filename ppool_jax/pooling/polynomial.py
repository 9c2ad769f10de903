"""Polynomial pooling, Eq. 1 and 2 of Wei et al., "Building Detail-Sensitive Semantic Segmentation
Networks with Polynomial Pooling", CVPR 2019.

With m the largest element of a window R, `polynomial_pool` computes

    w_i = max(x_i, floor*m)^alpha / sum_j max(x_j, floor*m)^alpha,    y = sum_i w_i x_i,

which is the Lehmer mean of Eq. 1 for elements above floor*m. The floor is relative to the window, so scaling
x scales y, and y is continuous at alpha = 0 where a window holds zeros, which Eq. 1 is not.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ppool_jax.pooling.dispatch import resolve_windows, share_cotangent
from ppool_jax.pooling.geometry import Padding
from ppool_jax.pooling.lehmer_jvp import OUTPUT_NAME, lehmer_mean
from ppool_jax.pooling.shift import SCOPES, shift_for
from ppool_jax.pooling.validation import as_floating, as_parameter, compute_dtype
from ppool_jax.pooling.windows import Windows

MIN_FLOOR = 2.0**-60
"""With a smaller floor, derivatives at alpha = inf overflow in float32."""


def polynomial_pool(
  x: ArrayLike,
  alpha: ArrayLike,
  window_shape: Sequence[int],
  strides: Sequence[int] | None = None,
  padding: Padding = "VALID",
  *,
  floor: float = 2**-24,
  shift: str | None = None,
) -> jax.Array:
  """Polynomial pooling (Eq. 1): average pooling at alpha = 0, max pooling at alpha = inf, and all between.

  >>> import jax.numpy as jnp
  >>> x = jnp.array([[1.0], [2.0], [3.0], [4.0]])
  >>> polynomial_pool(x, 1.0, (2,), (2,)).ravel()  # (1 + 4) / (1 + 2), (9 + 16) / (3 + 4)
  Array([1.6666666, 3.5714285], dtype=float32)

  Args:
    x: `[..., *spatial, channels]`, floating; 1 to 3 spatial axes, any number of batch axes or none.
      Meant for x >= 0. Where a window has a positive element, negative ones have the weight of the
      floor (see `shift`); where it has none, y is the mean.
    alpha: the exponent, a number or an array that broadcasts to the output, in [0, inf]. A traced
      value cannot be checked: an entry below 0 gives NaN.
    window_shape, strides, padding: as in `flax.linen.max_pool`; see `max_pool`.
    floor: the smallest fraction of its window's largest element that an element counts as, in [2**-60, 1).
    shift: how to treat negative inputs, Eq. 2: y = f(R - s) + s with s = min(0, smallest x) over
      each "window", "channel" (of each example), "example" (without batch axes: all of x) or
      "tensor"; None for no shift. "tensor" makes an example's output depend on the rest of its
      batch. The derivative flows through s (the authors' code stops it).

  Returns:
    `[..., *out, channels]` in x's dtype, computed in float32 for 16-bit x. dx has x's dtype and
    dalpha alpha's. Forward mode, reverse mode and higher orders differentiate the formula above;
    docs/POOLING.md states the conventions at ties and other kinks. The reverse pass keeps x, alpha
    and y.

  Raises:
    TypeError, ValueError: a bad argument; the message has its name, its value and what was expected.
  """
  win, x = prepare_input(x, window_shape, strides, padding)
  return pool_windows(win, x, alpha, floor=floor, shift=shift)


def prepare_input(
  x: ArrayLike, window_shape: Sequence[int], strides: Sequence[int] | None, padding: Padding
) -> tuple[Windows, jax.Array]:
  """The windows over x, and x as the pool and the source of its alpha should both read it.

  Their cotangents are then added in one fusion on a TPU.
  """
  x = as_floating("x", x)
  win = resolve_windows(x.shape, window_shape, strides, padding)
  return win, share_cotangent(win, x)


def pool_windows(
  win: Windows, x: jax.Array, alpha: ArrayLike, *, floor: float, shift: str | None
) -> jax.Array:
  """`polynomial_pool` of what `prepare_input` returns."""
  alpha = as_parameter("alpha", alpha, win.out_shape(x.shape), low=0.0)
  if not isinstance(floor, float | np.floating) or not MIN_FLOOR <= floor < 1:
    raise ValueError(f"floor: expected a number in [2**-60, 1), got {floor!r}")
  if shift not in SCOPES:
    raise ValueError(f"shift: expected one of {SCOPES}, got {shift!r}")
  keep_y = jax.checkpoint_policies.save_only_these_names(OUTPUT_NAME)
  return jax.checkpoint(functools.partial(_pool, win, float(floor), shift), policy=keep_y)(x, alpha)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _pool(win: Windows, floor: float, scope: str | None, x: jax.Array, alpha: jax.Array) -> jax.Array:
  dtype = compute_dtype(x)
  out_shape = win.out_shape(x.shape)
  s = shift_for(scope, win, x.astype(dtype))
  alpha = jnp.broadcast_to(alpha.astype(dtype), out_shape)
  if s is not None:
    s = jnp.broadcast_to(s, out_shape)
    # A NaN anywhere in the scope makes all of its windows NaN, also those without it.
    alpha = alpha + 0 * jax.lax.stop_gradient(s)
  return lehmer_mean(win, floor, x, s, alpha).astype(x.dtype)

"""Downsampling by strides instead of pooling (Springenberg et al., "Striving for Simplicity", 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import jax
from jax import lax
from jax.typing import ArrayLike

from ppool_jax.pooling.geometry import resolve
from ppool_jax.pooling.validation import as_floating


def strided_pool(x: ArrayLike, strides: Sequence[int]) -> jax.Array:
  """The paper's "Strided-C": keeps every strides-th element, x[..., ::s, ::s, :].

  A convolution of stride 1 with symmetric padding followed by this equals the same convolution with
  these strides, which is how a network should compute it. As for such a convolution, the output has
  ceil(size / stride) elements along an axis, where a pool may have fewer.

  Args:
    x: `[..., *spatial, channels]`, floating.
    strides: one positive integer for each spatial axis; all ones is the identity.

  Returns:
    `[..., *ceil(spatial / strides), channels]` in x's dtype.

  Raises:
    TypeError, ValueError: a bad argument; the message has its name, its value and what was expected.
  """
  x = as_floating("x", x)
  steps = _steps(x, strides)
  return x[(..., *(slice(None, None, step) for step in steps), slice(None))]


def conv_pool(x: ArrayLike, kernel: ArrayLike, bias: ArrayLike, strides: Sequence[int]) -> jax.Array:
  """The paper's "All-C": ReLU of a symmetrically padded convolution with the pool's strides.

  Args:
    x: `[..., *spatial, channels]`, floating.
    kernel: `[*k, channels, features]`, each k odd.
    bias: `[features]`, floating.
    strides: one positive integer for each spatial axis.

  Returns:
    `[..., *ceil(spatial / strides), features]` in x's dtype.

  Raises:
    TypeError, ValueError: a bad argument; the message has its name, its value and what was expected.
  """
  x, kernel, bias = as_floating("x", x), as_floating("kernel", kernel), as_floating("bias", bias)
  steps = _steps(x, strides)
  sizes = kernel.shape[:-2]
  if len(sizes) != len(steps) or any(k % 2 == 0 for k in sizes) or kernel.shape[-2] != x.shape[-1]:
    raise ValueError(
      f"kernel: expected [*odd sizes, {x.shape[-1]}, features] for strides {steps}, got {kernel.shape}"
    )
  if bias.shape != kernel.shape[-1:]:
    raise ValueError(f"bias: expected shape {kernel.shape[-1:]}, got {bias.shape}")
  lead, n = x.shape[: -len(steps) - 1], len(steps)
  spatial = "DHW"[3 - n :]
  y = lax.conv_general_dilated(
    x.reshape(-1, *x.shape[len(lead) :]),
    kernel.astype(x.dtype),
    steps,
    [(k // 2, k // 2) for k in sizes],
    dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
  )
  return jax.nn.relu(y.reshape(*lead, *y.shape[1:]) + bias.astype(x.dtype))


def _steps(x, strides) -> tuple[int, ...]:
  """`strides`, validated against x."""
  if not isinstance(strides, Sequence) or isinstance(strides, str):
    raise TypeError(f"strides: expected a tuple of positive integers, got {strides!r}")
  if not 1 <= len(strides) <= 3:
    raise ValueError(f"strides: expected 1 to 3 positive integers, got {strides!r}")
  return resolve(x.shape, (1,) * len(strides), strides).strides

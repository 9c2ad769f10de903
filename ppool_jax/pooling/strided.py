"""Down-sampling by strides instead of pooling (Springenberg et al., "Striving for Simplicity", 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import jax
from jax import lax

from ppool_jax.pooling.geometry import resolve
from ppool_jax.pooling.validation import floating


def strided_pool(x, strides: Sequence[int]) -> jax.Array:
  """ "Strided-C" as a function: keeps every strides-th element, x[..., ::s, ::s, :].

  A stride-1 convolution with symmetric padding followed by this equals the same convolution with
  these strides, which is how a network should compute it. The output has ceil(size / stride)
  elements along an axis, as such a convolution has, which a pool may not.

  Args:
    x: `[..., *spatial, channels]`.
    strides: one positive integer for each spatial axis; all ones is the identity.

  Raises:
    TypeError, ValueError: for bad arguments, with the argument, its value and what was expected.
  """
  x = floating("x", x)
  steps = _steps(x, strides)
  return x[(..., *(slice(None, None, step) for step in steps), slice(None))]


def conv_pool(x, kernel, bias, strides: Sequence[int]) -> jax.Array:
  """ "All-C": ReLU of a convolution with the pool's strides, symmetrically padded.

  Args:
    x: `[..., *spatial, channels]`, floating.
    kernel: `[*k, channels, features]`, each k odd.
    bias: `[features]`.
    strides: one positive integer for each spatial axis.

  Returns:
    `[..., *ceil(spatial / strides), features]` in x's dtype.

  Raises:
    TypeError, ValueError: for bad arguments, with the argument, its value and what was expected.
  """
  x, kernel, bias = floating("x", x), floating("kernel", kernel), floating("bias", bias)
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
  """`strides`, checked against x."""
  window = tuple(1 for _ in strides) if isinstance(strides, Sequence) else (1,)
  return resolve(x.shape, window, strides).strides

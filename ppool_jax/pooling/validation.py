"""Validates the arrays that a pooling takes, and chooses the dtype that it computes in.

An error's message has the argument's name, its value and what was expected.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def as_floating(name: str, value: Any) -> jax.Array:
  """`value` as a JAX array; it must be an array of real floating-point numbers."""
  dtype = getattr(value, "dtype", None)
  if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
    raise TypeError(f"{name}: expected a floating-point array, got {_describe(value)}")
  return jnp.asarray(value)


def as_parameter(
  name: str, value: Any, shape: tuple[int, ...], low: float = -np.inf
) -> jax.Array | np.ndarray:
  """`value` as an array of real numbers; it must broadcast to `shape`.

  Values known on the host (numbers, lists, NumPy arrays) must be at least `low` and not NaN. JAX arrays may
  be traced, so theirs are not checked.
  """
  array = value if isinstance(value, jax.Array) else np.asarray(value)
  if not (jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)):
    raise TypeError(f"{name}: expected real numbers, got {_describe(value)}")
  if isinstance(array, np.ndarray) and not np.all(array >= low):
    expected = f"values >= {low:g}" if low > -np.inf else "numbers that are not NaN"
    raise ValueError(f"{name}: expected {expected}, got {array[~(array >= low)].ravel()[0]}")
  try:
    fits = jnp.broadcast_shapes(array.shape, shape) == tuple(shape)
  except ValueError:
    fits = False
  if not fits:
    raise ValueError(f"{name}: expected a shape that broadcasts to {tuple(shape)}, got {array.shape}")
  return array


def compute_dtype(x: jax.Array) -> jnp.dtype:
  """float64 for float64, otherwise float32: pooling weights do not survive 8 or 11 bits."""
  return jnp.dtype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)


def _describe(value: Any) -> str:
  if hasattr(value, "dtype"):
    return f"an array of {value.dtype}, shape {tuple(value.shape)}"
  return f"{type(value).__name__} {value!r}"

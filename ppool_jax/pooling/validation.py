"""Checks of arguments: an error names the argument, its value and what was expected."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def floating(name: str, x) -> jax.Array:
  """`x` as an array, if it is a real floating-point one."""
  dtype = getattr(x, "dtype", None)
  if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
    raise TypeError(f"{name}: expected a floating-point array, got {_describe(x)}")
  return jnp.asarray(x)


def parameter(name: str, value, shape: tuple[int, ...], low: float = -np.inf) -> jax.Array | np.ndarray:
  """`value` as a real array that broadcasts to `shape`.

  Values known on the host (numbers, lists, NumPy arrays) are refused below `low` or if NaN; values
  inside a computation cannot be.
  """
  array = value if isinstance(value, jax.Array) else np.asarray(value)
  if not (jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)):
    raise TypeError(f"{name}: expected real numbers, got {_describe(value)}")
  if isinstance(array, np.ndarray) and not np.all(array >= low):
    raise ValueError(f"{name}: expected values >= {low:g}, got {array[~(array >= low)].ravel()[0]}")
  try:
    fits = jnp.broadcast_shapes(array.shape, shape) == tuple(shape)
  except ValueError:
    fits = False
  if not fits:
    raise ValueError(f"{name}: expected a shape that broadcasts to {tuple(shape)}, got {array.shape}")
  return array


def compute_dtype(x: jax.Array) -> jnp.dtype:
  """float64 for float64, otherwise float32: no pooling weight survives 8 or 11 bits."""
  return jnp.promote_types(jnp.float32, x.dtype) if x.dtype == jnp.float64 else jnp.dtype(jnp.float32)


def _describe(x) -> str:
  if hasattr(x, "dtype"):
    return f"an array of {x.dtype}, shape {tuple(x.shape)}"
  return f"{type(x).__name__} {x!r}"

"""Dilation of any layer of stride 1, by applying it to every phase of its input."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ppool_jax.layers import PolynomialPool


def apply_dilated(layer: Callable[[jax.Array], jax.Array], x: jax.Array, rate: int) -> jax.Array:
  """Applies a layer of stride 1 with dilation `rate`.

  The input is split into its `rate**2` phases (every rate-th row and column), which are stacked along the
  batch. This is exact for any layer, and dilates pools without a dilated implementation of each. The alpha
  map that P-pooling sows is merged like the output.

  Args:
    layer: of stride 1, `[M, h, w, C]` to `[M, h, w, D]`.
    x: `[N, H, W, C]`, H and W multiples of `rate`.
    rate: the dilation; at 1 the layer is applied as it is.

  Returns:
    `[N, H, W, D]`.

  Raises:
    ValueError: H or W is not a multiple of `rate`.
  """
  if rate == 1:
    return layer(x)
  n, height, width, channels = x.shape
  if height % rate or width % rate:
    raise ValueError(
      f"images: a layer with dilation {rate} expects a feature map with sides that are multiples of {rate}, "
      f"got {height}x{width}; pad the image to a multiple of the network's `size_divisor`"
    )
  x = x.reshape(n, height // rate, rate, width // rate, rate, channels)
  y = layer(jnp.transpose(x, (0, 2, 4, 1, 3, 5)).reshape(-1, height // rate, width // rate, channels))
  merge = functools.partial(merge_phases, rate=rate, shape=(n, height, width))
  if isinstance(layer, PolynomialPool):
    layer.replace_sown_alpha(merge)
  return merge(y)


def merge_phases(phases: jax.Array, rate: int, shape: tuple[int, int, int]) -> jax.Array:
  """Interleaves the phases into which `apply_dilated` splits its input.

  Args:
    phases: `[N * rate**2, H / rate, W / rate, C]`: the phases of each image in row-major order.
    rate: the dilation.
    shape: (N, H, W).

  Returns:
    `[N, H, W, C]`, whose value at (rate * i + row, rate * j + column) is that of phase (row, column) at
    (i, j).
  """
  n, height, width = shape
  y = phases.reshape(n, rate, rate, height // rate, width // rate, -1)
  return jnp.transpose(y, (0, 3, 1, 4, 2, 5)).reshape(n, height, width, -1)

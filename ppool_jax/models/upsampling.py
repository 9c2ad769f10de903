"""Bilinear upsampling of scores to positions of their image."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import numpy as np


def upsample(
  scores: jax.Array, factor: float, offset: float | None = None, size: tuple[int, int] | None = None
) -> jax.Array:
  """Bilinear upsampling: output p reads its input at (p - offset) / factor, clamped to the edge.

  Args:
    scores: `[N, h, w, C]`, floating.
    factor: outputs from one input cell to the next.
    offset: the output position that the first cell is centred on. None: (factor - 1) / 2, cells that
      tile the output (half-pixel centres).
    size: of the output. None: the input's times the factor.

  Returns:
    `[N, *size, C]` in the dtype of `scores`.

  Raises:
    AssertionError: scores of another rank, or integers, which would round the weights.
  """
  chex.assert_rank(scores, 4, custom_message="scores: expected [N, h, w, C]")
  chex.assert_type(scores, float, custom_message="scores: expected a floating dtype")
  offset = (factor - 1) / 2 if offset is None else offset
  size = [round(cells * factor) for cells in scores.shape[1:3]] if size is None else size
  rows, columns = (
    jnp.asarray(_weights(cells, pixels, factor, offset), scores.dtype)
    for cells, pixels in zip(scores.shape[1:3], size, strict=True)
  )
  # As two products of matrices, in full precision also where matrices are multiplied in bfloat16.
  return jnp.einsum(
    "nhwc,Hh,Ww->nHWc", scores, rows, columns, precision=jax.lax.Precision.HIGHEST, optimize=True
  )


def _weights(cells: int, pixels: int, factor: float, offset: float) -> np.ndarray | jax.Array:
  """`[pixels, cells]`: what each output takes of each input; rows add up to 1.

  A constant of the program, unless `jax.export` leaves the sizes open.
  """
  library = np if isinstance(cells, int) and isinstance(pixels, int) else jnp
  at = library.clip((library.arange(pixels) - offset) / factor, 0, cells - 1)
  return library.maximum(0, 1 - abs(at[:, None] - library.arange(cells)))

"""Bilinear upsampling of scores from their sampling grid to the pixels of the image."""

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
    factor: output positions from one input position to the next.
    offset: the output position on which the first input is centered. None: (factor - 1) / 2, so that the
      inputs tile the output (half-pixel centers).
    size: (height, width) of the output. None: the input's times the factor.

  Returns:
    `[N, *size, C]` in the dtype of `scores`.

  Raises:
    AssertionError: scores of another rank, or integers, which would round the weights.
  """
  chex.assert_rank(scores, 4, custom_message="scores: expected [N, h, w, C]")
  chex.assert_type(scores, float, custom_message="scores: expected a floating dtype")
  inputs = scores.shape[1:3]
  offset = (factor - 1) / 2 if offset is None else offset
  outputs = [round(count * factor) for count in inputs] if size is None else size
  rows, columns = (
    jnp.asarray(_weights(n, m, factor, offset), scores.dtype) for n, m in zip(inputs, outputs, strict=True)
  )
  # Two matrix products, in full precision also on devices that multiply matrices in bfloat16.
  return jnp.einsum(
    "nhwc,Hh,Ww->nHWc", scores, rows, columns, precision=jax.lax.Precision.HIGHEST, optimize=True
  )


def _weights(inputs: int, outputs: int, factor: float, offset: float) -> np.ndarray | jax.Array:
  """`[outputs, inputs]`: the weight of each input in each output; rows sum to 1.

  A constant of the program, unless `jax.export` leaves the sizes symbolic.
  """
  library = np if isinstance(inputs, int) and isinstance(outputs, int) else jnp
  at = library.clip((library.arange(outputs) - offset) / factor, 0, inputs - 1)
  return library.maximum(0, 1 - abs(at[:, None] - library.arange(inputs)))

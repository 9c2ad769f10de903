"""The head of FCN-8s (Long et al., 2015): scores at three strides, upsampled and summed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ppool_jax.models.grid import Grid
from ppool_jax.models.heads.classifiers import classify_pixels
from ppool_jax.models.upsampling import upsample

UPSAMPLING = ("bilinear", "learned")


class FCN8s(nn.Module):
  """Features at strides 8, 16 and 32 to scores at stride 8.

  A 1x1 classifier on each ("score8", "score16", "score32"); those at 32 are upsampled to the cells at
  16 and added, the sum is upsampled to the cells at 8 and added. Cells are brought to where those of the
  finer feature lie in the image, which need not be between them as a stretched feature's would be.

  The skips' classifiers start at zero, as in FCN, so that training begins as that of the coarse
  network and is not disturbed by features of another scale ("at once" training).

  Attributes:
    num_classes: of the scores.
    grids: the features' cells, at strides 8, 16 and 32.
    upsampling: "bilinear", or "learned": transposed convolutions ("up32", "up16") that start as that.
      The paper learns these two and leaves the last, to the pixels, bilinear.
    dtype: of the computation.
  """

  num_classes: int
  grids: Sequence[Grid]
  upsampling: str = "bilinear"
  dtype: Any = None

  @nn.compact
  def __call__(self, features, train: bool = False, places: jax.Array | None = None) -> jax.Array:
    """Class scores.

    Args:
      features: `[N, h, w, C]` at stride 8, `[N, ~h/2, ~w/2, C]` at 16 and `[N, ~h/4, ~w/4, C]` at 32.
      train, places: not used; as of every head.

    Returns:
      float32 `[N, h, w, num_classes]`.

    Raises:
      ValueError: an unknown upsampling.
      AssertionError: features of another rank, or of different numbers of examples.
    """
    if self.upsampling not in UPSAMPLING:
      raise ValueError(f"upsampling: expected one of {', '.join(UPSAMPLING)}, got {self.upsampling!r}")
    chex.assert_rank(features, 4, custom_message="features: expected [N, h, w, C]")
    chex.assert_equal_shape_prefix(features, 1, custom_message="features: expected one number of examples")
    fine, middle, coarse = features
    scores = classify_pixels(coarse, self.num_classes, self.dtype, "score32")
    scores = self._skip(scores, middle, self.grids[2], self.grids[1], 32)
    return self._skip(scores, fine, self.grids[1], self.grids[0], 16)

  def _skip(self, scores, finer, source: Grid, target: Grid, stride: int):
    """Scores brought to the cells of a finer feature, plus that feature's own."""
    factor, size = source.stride // target.stride, finer.shape[1:3]
    offset = (source.offset - target.offset) / target.stride
    if self.upsampling == "learned":
      up = TransposedConvolution(factor, offset, size, name=f"up{stride}")(scores)
    else:
      up = upsample(scores, factor, offset, size)
    zeros = nn.initializers.zeros
    return up + classify_pixels(finer, self.num_classes, self.dtype, f"score{stride // 2}", zeros)


class TransposedConvolution(nn.Module):
  """Upsampling by a learned kernel that starts as bilinear interpolation; zeros lie beyond the border.

  Attributes:
    factor: outputs from one input cell to the next.
    offset: the output that the first cell is centred on, as in `upsample`.
    size: of the output.
  """

  factor: int
  offset: float
  size: tuple[int, int]

  @nn.compact
  def __call__(self, scores: jax.Array) -> jax.Array:
    """Args: scores `[N, h, w, K]`. Returns `[N, *size, K]`."""
    low = int(np.floor(self.offset)) - self.factor + 1  # the first output that cell 0 reaches
    taps = 2 * self.factor
    kernel = self.param("kernel", self._bilinear(low), (taps, taps, *scores.shape[-1:] * 2))
    # Output p is the sum of kernel[p - low - factor * i] x_i over the cells i.
    before = taps - 1 + low
    padding = [
      (before, size - 1 - low - self.factor * (cells - 1))
      for cells, size in zip(scores.shape[1:3], self.size, strict=True)
    ]
    return jax.lax.conv_general_dilated(
      scores, kernel[::-1, ::-1].astype(scores.dtype), (1, 1), padding,
      lhs_dilation=(self.factor,) * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip

  def _bilinear(self, low: int):
    def init(key, shape):
      del key
      distance = np.abs(np.arange(shape[0]) + low - self.offset) / self.factor
      line = np.maximum(0, 1 - distance)
      plane = np.outer(line, line)[:, :, None, None] * np.eye(shape[-1])
      return jnp.asarray(plane, jnp.float32)

    return init

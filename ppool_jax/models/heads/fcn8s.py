"""The head of FCN-8s (Long et al., 2015): scores at three strides, upsampled and summed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ppool_jax.models.grid import Grid
from ppool_jax.models.network import classify_pixels
from ppool_jax.models.upsampling import upsample

UPSAMPLING_MODES = ("bilinear", "learned")


class FCN8s(nn.Module):
  """Class scores at stride 8 from features at strides 8, 16 and 32.

  Each feature has a 1x1 classifier ("score8", "score16", "score32"). The scores at 32 are upsampled to the
  grid at 16 and added to the scores there; the sum is upsampled to the grid at 8 and added to the scores
  there. Upsampling respects the sampling grids of the features, whose offsets in the image differ.

  The classifiers of the skip connections start at zero, as in FCN, so that training begins with the coarse
  scores only ("at once" training).

  Attributes:
    num_classes: of the scores.
    grids: the features' sampling grids, at strides 8, 16 and 32.
    upsampling: "bilinear", or "learned": transposed convolutions ("up32", "up16") that start as bilinear
      interpolation. The paper learns these two; the last upsampling, to pixels, is bilinear.
    dtype: of the computation.
  """

  num_classes: int
  grids: Sequence[Grid]
  upsampling: str = "bilinear"
  dtype: Any = None

  @nn.compact
  def __call__(
    self, features: Sequence[jax.Array], train: bool = False, example_index: jax.Array | None = None
  ) -> jax.Array:
    """Computes class scores.

    Args:
      features: `[N, h, w, C]` at stride 8, `[N, ~h/2, ~w/2, C]` at 16 and `[N, ~h/4, ~w/4, C]` at 32.
      train, example_index: unused; part of the interface of all heads.

    Returns:
      float32 `[N, h, w, num_classes]`.

    Raises:
      ValueError: an unknown upsampling mode.
      AssertionError: features of another rank, or with different numbers of examples.
    """
    if self.upsampling not in UPSAMPLING_MODES:
      raise ValueError(f"upsampling: expected one of {', '.join(UPSAMPLING_MODES)}, got {self.upsampling!r}")
    chex.assert_rank(features, 4, custom_message="features: expected [N, h, w, C]")
    chex.assert_equal_shape_prefix(features, 1, custom_message="features: expected one number of examples")
    fine, middle, coarse = features
    scores = classify_pixels(coarse, self.num_classes, self.dtype, "score32")
    scores = self._skip(scores, middle, self.grids[2], self.grids[1], 32)
    return self._skip(scores, fine, self.grids[1], self.grids[0], 16)

  def _skip(self, scores, finer, source: Grid, target: Grid, stride: int) -> jax.Array:
    """Upsamples scores to the grid of a finer feature and adds that feature's scores."""
    factor, size = source.stride // target.stride, finer.shape[1:3]
    offset = (source.offset - target.offset) / target.stride
    if self.upsampling == "learned":
      up = TransposedConvolution(factor, offset, size, name=f"up{stride}")(scores)
    else:
      up = upsample(scores, factor, offset, size)
    zeros = nn.initializers.zeros
    return up + classify_pixels(finer, self.num_classes, self.dtype, f"score{stride // 2}", zeros)


class TransposedConvolution(nn.Module):
  """Upsampling with a learned kernel that starts as bilinear interpolation and zero padding.

  Attributes:
    factor: output positions from one input position to the next.
    offset: the output position on which the first input is centered, as in `upsample`.
    size: (height, width) of the output.
  """

  factor: int
  offset: float
  size: tuple[int, int]

  @nn.compact
  def __call__(self, scores: jax.Array) -> jax.Array:
    """Upsamples scores `[N, h, w, K]` to `[N, *size, K]`."""
    low = int(np.floor(self.offset)) - self.factor + 1  # the first output position that input 0 reaches
    side = 2 * self.factor
    kernel = self.param("kernel", self._bilinear(low), (side, side, *scores.shape[-1:] * 2))
    # Output p is the sum of kernel[p - low - factor * i] x_i over the inputs i.
    before = side - 1 + low
    padding = [
      (before, size - 1 - low - self.factor * (inputs - 1))
      for inputs, size in zip(scores.shape[1:3], self.size, strict=True)
    ]
    return jax.lax.conv_general_dilated(
      scores, kernel[::-1, ::-1].astype(scores.dtype), (1, 1), padding,
      lhs_dilation=(self.factor,) * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip

  def _bilinear(self, low: int) -> Callable[[jax.Array, tuple[int, ...]], jax.Array]:
    """The initializer of bilinear interpolation from each class to itself."""

    def init(key, shape):
      del key
      distance = np.abs(np.arange(shape[0]) + low - self.offset) / self.factor
      line = np.maximum(0, 1 - distance)
      plane = np.outer(line, line)[:, :, None, None] * np.eye(shape[-1])
      return jnp.asarray(plane, jnp.float32)

    return init

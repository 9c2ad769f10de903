"""Segmenters: a backbone, a head on its features, and bilinear upsampling to the size of the image."""

from __future__ import annotations

from collections.abc import Sequence

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from ppool_jax.models.upsampling import upsample


class Segmenter(nn.Module):
  """Class scores for every pixel.

  Attributes:
    backbone: from images to features by name; see `ppool_jax.models.backbones.Backbone`.
    head: `(feature, train, example_index) -> scores` at the feature's resolution.
    feature: the name of the feature that the head reads, or several names; the head then gets a tuple, and
      its scores have the resolution of the first.
  """

  backbone: nn.Module
  head: nn.Module
  feature: str | Sequence[str]

  def __call__(
    self, images: jax.Array, train: bool = False, example_index: jax.Array | None = None
  ) -> jax.Array:
    """Computes the logits of preprocessed images.

    Sides that are not multiples of the backbone's `size_divisor` are padded below and on the right with
    zeros, the mean of preprocessed images, and the logits are cropped. Scores are upsampled from the
    sampling grid of the feature (`Grid`), whose offset follows from the windows and the padding of every
    layer. Stretching the scores over the image instead would shift them by up to half a stride.

    Args:
      images: `[N, H, W, 3]`.
      train: whether dropout is on, which needs a "dropout" key, and batch norm uses the batch's
        statistics, which needs "batch_stats" mutable.
      example_index: int `[N]`, index of each example in the global batch, for dropout. None: 0..N-1.

    Returns:
      float32 `[N, H, W, num_classes]`.

    Raises:
      AssertionError: images of another shape; a head whose scores do not have the feature's resolution.
    """
    chex.assert_shape(images, (None, None, None, 3), custom_message="images: expected [N, H, W, 3]")
    height, width = images.shape[1:3]
    names = (self.feature,) if isinstance(self.feature, str) else tuple(self.feature)
    divisor = self.backbone.size_divisor
    # `jax.export` recognizes this form as a multiple of the divisor where a side is symbolic.
    below, right = (divisor * ((side + divisor - 1) // divisor) - side for side in (height, width))
    images = jnp.pad(images, ((0, 0), (0, below), (0, right), (0, 0)))
    features = self.backbone(images, train=train, example_index=example_index)
    inputs = features[names[0]] if isinstance(self.feature, str) else tuple(features[n] for n in names)
    grid = self.backbone.grids[names[0]]
    scores = self.head(inputs, train, example_index)
    # Scores of another resolution would be upsampled to the wrong pixels without an error.
    chex.assert_equal_shape_prefix(
      [features[names[0]], scores], 3, custom_message=f"scores: expected the resolution of {names[0]!r}"
    )
    return upsample(scores, grid.stride, grid.offset, (height, width))

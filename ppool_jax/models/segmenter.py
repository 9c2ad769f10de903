"""A segmenter: a backbone, a head on its features, bilinear upsampling to the input's size."""

from __future__ import annotations

from collections.abc import Sequence

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from ppool_jax.models.upsampling import upsample


class Segmenter(nn.Module):
  """Logits for every pixel.

  Attributes:
    backbone: `images -> dict of features`, with `grids` and `multiple`.
    head: `(feature, train, places) -> scores` at the feature's resolution.
    feature: the one of the backbone's features that the head reads, or several, which it then gets as
      a tuple; scores have the resolution of the first.
  """

  backbone: nn.Module
  head: nn.Module
  feature: str | Sequence[str]

  def __call__(self, images: jax.Array, train: bool = False, places: jax.Array | None = None) -> jax.Array:
    """Logits of preprocessed images.

    Sides that are no multiple of the backbone's `multiple` are padded below and to the right with zeros
    (the mean, once preprocessed) and the logits cropped. A cell's scores belong to the pixel that it is
    centred on, which depends on the windows and the padding of every layer before it (`Grid.offset`):
    stretching the scores over the image instead would shift them by up to half a stride.

    Args:
      images: `[N, H, W, 3]`.
      train: whether dropout is on, which needs a "dropout" key, and batch norm takes the batch's
        statistics, which needs "batch_stats" mutable.
      places: int `[N]`, the examples' places in the global batch, for dropout.

    Returns:
      float32 `[N, H, W, num_classes]`.

    Raises:
      AssertionError: images of another shape; a head whose scores do not have its feature's resolution.
    """
    chex.assert_shape(images, (None, None, None, 3), custom_message="images: expected [N, H, W, 3]")
    height, width = images.shape[1:3]
    names = (self.feature,) if isinstance(self.feature, str) else tuple(self.feature)
    multiple = self.backbone.multiple
    # Written as a multiple, so that `jax.export` knows a symbolic side for one.
    below, right = (multiple * ((side + multiple - 1) // multiple) - side for side in (height, width))
    images = jnp.pad(images, ((0, 0), (0, below), (0, right), (0, 0)))
    features = self.backbone(images, train=train, places=places)
    inputs = features[names[0]] if isinstance(self.feature, str) else tuple(features[n] for n in names)
    grid = self.backbone.grids[names[0]]
    scores = self.head(inputs, train, places)
    # Scores of another resolution would be upsampled to the wrong pixels, without any error.
    chex.assert_equal_shape_prefix(
      [features[names[0]], scores], 3, custom_message=f"scores: expected the resolution of {names[0]!r}"
    )
    return upsample(scores, grid.stride, grid.offset, (height, width))

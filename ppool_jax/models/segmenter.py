"""A segmenter: a backbone, a head on one of its features, bilinear upsampling to the input's size."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp


class Segmenter(nn.Module):
  """Logits for every pixel.

  Attributes:
    backbone: `images -> dict of features`, with `output_stride`.
    head: `(features, train, places) -> scores` at the features' resolution.
    feature: the one of the backbone's features that the head reads.
  """

  backbone: nn.Module
  head: nn.Module
  feature: str

  def __call__(self, images: jax.Array, train: bool = False, places: jax.Array | None = None) -> jax.Array:
    """Logits of preprocessed images.

    Sides that are no multiple of the backbone's stride are padded below and to the right with zeros
    (the mean, once preprocessed) and the logits cropped: stretching the scores instead would shift
    them by up to half a stride against the pixels.

    Args:
      images: `[N, H, W, 3]`.
      train: whether dropout is on, which needs a "dropout" key, and batch norm takes the batch's
        statistics, which needs "batch_stats" mutable.
      places: int `[N]`, the examples' places in the global batch, for dropout.

    Returns:
      float32 `[N, H, W, num_classes]`.
    """
    height, width = images.shape[1:3]
    stride = self.backbone.output_stride
    images = jnp.pad(images, ((0, 0), (0, -height % stride), (0, -width % stride), (0, 0)))
    scores = self.head(self.backbone(images, train=train)[self.feature], train, places)
    return upsample(scores, stride)[:, :height, :width]


def upsample(scores: jax.Array, factor: int) -> jax.Array:
  """Bilinear upsampling with half-pixel centres: `[N, h, w, C]` to `[N, factor h, factor w, C]`."""
  batch, height, width, channels = scores.shape
  return jax.image.resize(scores, (batch, factor * height, factor * width, channels), "bilinear")

"""Sliding-window inference on images that are larger than the training crops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PredictFn = Callable[[Any, jax.Array], jax.Array]
"""`(variables, images [N, H, W, 3] of 0..255) -> probabilities float32 [N, H, W, K]`."""


def check_window(window: tuple[int, ...], stride: tuple[int, ...]) -> None:
  """Refuses windows that do not cover every pixel.

  Raises:
    ValueError: not two positive numbers each, or a stride longer than the window.
  """
  if not (len(window) == len(stride) == 2 and all(0 < s <= w for s, w in zip(stride, window, strict=True))):
    raise ValueError(
      f"eval.window, eval.stride: expected a window and strides of 1 to its sides, got {window}, {stride}"
    )


def sliding_window(predict: PredictFn, window: tuple[int, int], stride: tuple[int, int], color) -> PredictFn:
  """Applies `predict` to windows of (height, width) every `stride`, and averages where they overlap.

  The last window of each axis is moved inside the image. An image smaller than the window is padded below
  and on the right with the RGB `color`, and the result is cropped to the image.
  """

  def predict_windows(variables, images):
    count, height, width = images.shape[:3]
    images = _pad(images, (max(height, window[0]), max(width, window[1])), color)
    origins, coverage = window_origins(images.shape[1:3], window, stride)
    crop = jax.ShapeDtypeStruct((count, *window, 3), images.dtype)
    classes = jax.eval_shape(predict, variables, crop).shape[-1]

    # A scan compiles the network once, however many windows there are.
    def add_window(total, origin):
      start = (0, origin[0], origin[1], 0)
      probabilities = predict(variables, jax.lax.dynamic_slice(images, start, crop.shape))
      previous = jax.lax.dynamic_slice(total, start, probabilities.shape)
      return jax.lax.dynamic_update_slice(total, previous + probabilities, start), None

    total = jnp.zeros((*images.shape[:3], classes), jnp.float32)
    total, _ = jax.lax.scan(add_window, total, jnp.asarray(origins))
    return (total / coverage[..., None])[:, :height, :width]

  return predict_windows


def window_origins(size, window, stride) -> tuple[np.ndarray, np.ndarray]:
  """Upper left corners of the windows, int32 `[n, 2]`, and how many cover each pixel, float32 `[H, W]`."""
  axes = [
    [*range(0, side - length, step), side - length]
    for side, length, step in zip(size, window, stride, strict=True)
  ]
  origins = np.array([(y, x) for y in axes[0] for x in axes[1]], np.int32)
  coverage = np.zeros(size, np.float32)
  for y, x in origins:
    coverage[y : y + window[0], x : x + window[1]] += 1
  return origins, coverage


def _pad(images, size: tuple[int, int], color):
  if images.shape[1:3] == size:
    return images
  canvas = jnp.broadcast_to(jnp.asarray(color, images.dtype), (images.shape[0], *size, 3))
  return canvas.at[:, : images.shape[1], : images.shape[2]].set(images)

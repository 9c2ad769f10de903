"""Sliding windows over images that are larger than what the network was trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

View = Callable[[Any, jax.Array], jax.Array]
"""`(variables, images [N, H, W, 3] of 0..255) -> probabilities float32 [N, H, W, K]`."""


def check_windows(window: tuple[int, ...], stride: tuple[int, ...]) -> None:
  """Refuses what leaves gaps.

  Raises:
    ValueError: not two positive numbers each, or a stride longer than the window.
  """
  if not (len(window) == len(stride) == 2 and all(0 < s <= w for s, w in zip(stride, window, strict=True))):
    raise ValueError(
      f"eval.window, eval.stride: expected a window and strides of 1 to its sides, got {window}, {stride}"
    )


def sliding(view: View, window: tuple[int, int], stride: tuple[int, int], colour) -> View:
  """Windows of (height, width) every `stride`, the last ones moved inside; the mean where they overlap.

  Images smaller than the window are padded below and on the right with the RGB `colour`, and what is
  seen there is dropped.
  """

  def mean(variables, images):
    count, height, width = images.shape[:3]
    images = _padded(images, tuple(map(max, (height, width), window)), colour)
    corners, windows = places(images.shape[1:3], window, stride)
    crop = jax.ShapeDtypeStruct((count, *window, 3), images.dtype)
    classes = jax.eval_shape(view, variables, crop).shape[-1]

    # A scan compiles the network once, however many windows there are.
    def add(total, corner):
      start = (0, corner[0], corner[1], 0)
      seen = view(variables, jax.lax.dynamic_slice(images, start, crop.shape))
      before = jax.lax.dynamic_slice(total, start, seen.shape)
      return jax.lax.dynamic_update_slice(total, before + seen, start), None

    total = jnp.zeros((*images.shape[:3], classes), jnp.float32)
    total, _ = jax.lax.scan(add, total, jnp.asarray(corners))
    return (total / windows[..., None])[:, :height, :width]

  return mean


def places(size, window, stride) -> tuple[np.ndarray, np.ndarray]:
  """Upper left corners of the windows, int32 `[n, 2]`, and how many cover each pixel, float32 `[H, W]`."""
  axes = [
    [*range(0, side - length, step), side - length]
    for side, length, step in zip(size, window, stride, strict=True)
  ]
  corners = np.array([(y, x) for y in axes[0] for x in axes[1]], np.int32)
  windows = np.zeros(size, np.float32)
  for y, x in corners:
    windows[y : y + window[0], x : x + window[1]] += 1
  return corners, windows


def _padded(images, size: tuple[int, int], colour):
  if images.shape[1:3] == size:
    return images
  canvas = jnp.broadcast_to(jnp.asarray(colour, images.dtype), (images.shape[0], *size, 3))
  return canvas.at[:, : images.shape[1], : images.shape[2]].set(images)

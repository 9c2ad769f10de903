"""Resizing of an example or a window of it: the image linear and antialiased, the label nearest."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

Window = tuple[slice, slice]
"""Rows and columns of an array."""

# The loader parallelizes over examples; OpenCV's own threads would compete with its threads.
cv2.setNumThreads(1)


def resize(example: dict, size: tuple[int, int], window: Window) -> dict:
  """Computes a window of the example resized to (height, width); pixel centers are at half-integers.

  The image is blurred where it shrinks and interpolated linearly. Together these are the triangle filter
  of Pillow's "bilinear", which extends one output pixel to either side: identical for the factors 1, 1/2,
  1/3 and so on, and of the same variance between them.

  Args:
    example: with image uint8 [H, W, 3] and label uint8 [H, W].
    size: of the whole example after resizing.
    window: the part of the resized example to compute.

  Returns:
    {"image", "label"} of the window's size.
  """
  shape = example["label"].shape
  rows, columns = (_plan_axis(*lengths) for lengths in zip(shape, size, window, strict=True))
  image, label = (example[key][rows.source, columns.source] for key in ("image", "label"))
  if max(len(rows.taps), len(columns.taps)) > 1:
    image = cv2.sepFilter2D(image, -1, columns.taps, rows.taps, borderType=cv2.BORDER_REPLICATE)
  image = cv2.resize(image, (columns.length, rows.length), interpolation=cv2.INTER_LINEAR)
  label = label.take(columns.nearest, axis=1).take(rows.nearest, axis=0)
  return {"image": image[rows.visible, columns.visible], "label": label}


class _Axis(NamedTuple):
  """How one axis is resized.

  Attributes:
    source: the part of the input that is resized.
    taps: of the blur that is applied first.
    length: of `source` after resizing.
    visible: the part of the resized `source` that is returned.
    nearest: the indices in `source` at which labels are read.
  """

  source: slice
  taps: np.ndarray
  length: int
  visible: slice
  nearest: np.ndarray


def _plan_axis(whole: int, length: int, window: slice) -> _Axis:
  """Plans the resizing of an axis of `whole` pixels to `length`, of which only `window` is needed."""
  taps = _blur_taps(whole / length)
  margin = (len(taps) // 2 + 1) * length // whole + 1

  def is_aligned(edge: int) -> bool:
    """Whether an edge between output pixels is one between input pixels, to 1/128 of a pixel.

    An image that is cut there is displaced by no more: one or two gray levels at the sharpest edge.
    """
    return 128 * abs((edge * whole + length // 2) % length - length // 2) <= length

  # The searches end because 0 and `length` are aligned.
  first = next(edge for edge in range(max(window.start - margin, 0), -1, -1) if is_aligned(edge))
  last = next(edge for edge in range(min(window.stop + margin, length), length + 1) if is_aligned(edge))
  source = slice(round(first * whole / length), round(last * whole / length))
  # Integer arithmetic, so that the label of a pixel does not depend on the window.
  nearest = (2 * np.arange(window.start, window.stop) + 1) * whole // (2 * length) - source.start
  return _Axis(source, taps, last - first, slice(window.start - first, window.stop - first), nearest)


def _blur_taps(shrink: float) -> np.ndarray:
  """Taps of the blur that widens linear interpolation from one input pixel to `shrink` of them.

  For an integer `shrink` they are a triangle; otherwise a mixture of the two nearest triangles with the
  variance (shrink^2 - 1) / 6. OpenCV rounds taps to multiples of 1/256; these add up to 1 after rounding.
  """
  if shrink <= 1:
    return np.ones(1)
  n = int(shrink)
  share = (shrink**2 - n**2) / (2 * n + 1)
  taps = np.round(256 * ((1 - share) * _triangle(n, n) + share * _triangle(n + 1, n)))
  taps[n] += 256 - taps.sum()
  return taps / 256


def _triangle(width: int, reach: int) -> np.ndarray:
  """A triangle of half-width `width` at the integers -reach..reach; the sum is 1 if `reach` covers it."""
  return np.maximum(width - np.abs(np.arange(-reach, reach + 1)), 0) / width**2

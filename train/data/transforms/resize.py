"""An example, or a window of it, at another size: the image linear and antialiased, the label nearest."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

# Rows and columns of an array.
Window = tuple[slice, slice]

# The loader has threads and processes of its own; OpenCV's would only compete with them.
cv2.setNumThreads(1)


def resized(example: dict, size: tuple[int, int], seen: Window) -> dict:
  """A window of an example resized to (height, width), with the centres of pixels at half-integers.

  The image is blurred where it shrinks and interpolated linearly. Together that is the triangle of
  Pillow's "bilinear", as wide as a pixel of the result to either side: at factors 1, 1/2, 1/3 and so on
  the same filter, between them one of the same spread.

  Args:
    example: with image uint8 [H, W, 3] and label uint8 [H, W].
    size: of the whole example after resizing.
    seen: the window of that which is made.
  """
  shape = example["label"].shape
  rows, columns = (_axis(*lengths) for lengths in zip(shape, size, seen, strict=True))
  image, label = (example[key][rows.source, columns.source] for key in ("image", "label"))
  if max(len(rows.taps), len(columns.taps)) > 1:
    image = cv2.sepFilter2D(image, -1, columns.taps, rows.taps, borderType=cv2.BORDER_REPLICATE)
  image = cv2.resize(image, (columns.length, rows.length), interpolation=cv2.INTER_LINEAR)
  label = label.take(columns.nearest, axis=1).take(rows.nearest, axis=0)
  return {"image": image[rows.part, columns.part], "label": label}


class _Axis(NamedTuple):
  """What becomes of an axis.

  Attributes:
    source: the part of the image that is resized.
    taps: of the blur before.
    length: of `source` after resizing.
    part: what is seen of that.
    nearest: where in `source` the labels that are seen are read.
  """

  source: slice
  taps: np.ndarray
  length: int
  part: slice
  nearest: np.ndarray


def _axis(whole: int, length: int, seen: slice) -> _Axis:
  """An axis of `whole` pixels resized to `length`, of which a part is seen."""
  taps = _blur(whole / length)
  margin = (len(taps) // 2 + 1) * length // whole + 1

  def common(edge: int) -> bool:
    """Whether an edge of the result's pixels is one of the source's, to 1/128 of a pixel.

    Cut there, an image keeps its place to that much: a grey level or two at the sharpest edge.
    """
    return 128 * abs((edge * whole + length // 2) % length - length // 2) <= length

  # 0 and `length` are.
  first = next(edge for edge in range(max(seen.start - margin, 0), -1, -1) if common(edge))
  last = next(edge for edge in range(min(seen.stop + margin, length), length + 1) if common(edge))
  source = slice(round(first * whole / length), round(last * whole / length))
  # In integers: where a label is read must not depend on the window.
  nearest = (2 * np.arange(seen.start, seen.stop) + 1) * whole // (2 * length) - source.start
  return _Axis(source, taps, last - first, slice(seen.start - first, seen.stop - first), nearest)


def _blur(shrink: float) -> np.ndarray:
  """Taps of the blur that widens linear interpolation from one pixel of the source to `shrink` of them.

  Where `shrink` is whole they are a triangle; between, a mixture of the two next ones of the right
  variance, (shrink^2 - 1) / 6. OpenCV rounds them to 256ths: here these add up to 1.
  """
  if shrink <= 1:
    return np.ones(1)
  n = int(shrink)
  share = (shrink**2 - n**2) / (2 * n + 1)
  taps = np.round(256 * ((1 - share) * _triangle(n, n) + share * _triangle(n + 1, n)))
  taps[n] += 256 - taps.sum()
  return taps / 256


def _triangle(width: int, reach: int) -> np.ndarray:
  """Its values at the whole numbers from -reach to reach; where it reaches no further, their sum is 1."""
  return np.maximum(width - np.abs(np.arange(-reach, reach + 1)), 0) / width**2

"""Geometric augmentation: random scale, crop and flip of an image together with its label map.

A transform is a picklable callable `(example, rng) -> example` with uint8 image [H, W, 3] and label
[H, W]. All randomness comes from `rng`, which the loader seeds with (seed, index in the stream).
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from train.data.classes import IGNORE
from train.data.transforms.resize import Window, resize


@dataclasses.dataclass(frozen=True)
class RandomScale:
  """Multiplies both sides by a factor from [low, high]: the image bilinear, the label nearest."""

  low: float
  high: float

  def __post_init__(self):
    if not 0 < self.low <= self.high:
      raise ValueError(f"data.scale: expected 0 < low <= high, got ({self.low}, {self.high})")

  def __call__(self, example: dict, rng: np.random.Generator) -> dict:
    height, width = self.sample_size(example["label"].shape, rng)
    return {**example, **resize(example, (height, width), (slice(0, height), slice(0, width)))}

  def sample_size(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """Draws a factor and returns (height, width) scaled by it."""
    factor = rng.uniform(self.low, self.high)
    height, width = (max(1, round(side * factor)) for side in size)
    return height, width


@dataclasses.dataclass(frozen=True)
class RandomCrop:
  """Cuts a random window of (height, width); pixels outside the example get the mean color and `IGNORE`."""

  height: int
  width: int
  mean: tuple[int, int, int]

  def __post_init__(self):
    if min(self.height, self.width) < 1:
      raise ValueError(f"data.crop: expected positive (height, width), got {(self.height, self.width)}")

  def __call__(self, example: dict, rng: np.random.Generator) -> dict:
    source, target = self.sample_windows(example["label"].shape, rng)
    return {**example, **self.pad(example["image"][source], example["label"][source], target)}

  def sample_windows(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[Window, Window]:
    """Draws a crop of an example of (height, width) `size`.

    Returns:
      The visible window of the example, and where that lies in the crop.
    """
    rows, columns = (
      _sample_slices(length, window, rng)
      for length, window in zip(size, (self.height, self.width), strict=True)
    )
    return (rows[0], columns[0]), (rows[1], columns[1])

  def pad(self, image: np.ndarray, label: np.ndarray, target: Window) -> dict:
    """Pads the visible part, which lies at `target`, to the size of the crop."""
    top, left = (part.start for part in target)
    bottom, right = self.height - target[0].stop, self.width - target[1].stop
    if not any((top, bottom, left, right)):
      return {"image": image, "label": label}

    def pad_array(array: np.ndarray, value) -> np.ndarray:
      return cv2.copyMakeBorder(array, top, bottom, left, right, cv2.BORDER_CONSTANT, value=value)

    return {"image": pad_array(image, self.mean), "label": pad_array(label, IGNORE)}


@dataclasses.dataclass(frozen=True)
class RandomScaledCrop:
  """Equivalent to `RandomScale`, then `RandomCrop`, but resizes only the visible part of the example.

  The labels are identical; image values differ by at most 2 gray levels from rounding. A crop of 512x1024
  shows a quarter of a 1024x2048 image at scale 1 and a sixteenth at scale 2.
  """

  scale: RandomScale
  crop: RandomCrop

  def __call__(self, example: dict, rng: np.random.Generator) -> dict:
    size = self.scale.sample_size(example["label"].shape, rng)
    source, target = self.crop.sample_windows(size, rng)
    return {**example, **self.crop.pad(**resize(example, size, source), target=target)}


@dataclasses.dataclass(frozen=True)
class RandomFlip:
  """Flips horizontally with probability 1/2."""

  def __call__(self, example: dict, rng: np.random.Generator) -> dict:
    if rng.random() < 0.5:
      return example
    return {**example, **{key: cv2.flip(example[key], 1) for key in ("image", "label")}}


def _sample_slices(length: int, window: int, rng: np.random.Generator) -> tuple[slice, slice]:
  """Draws a window along an axis: the visible part of the example, and where it lies in the window.

  The window lies inside a longer side; it contains a shorter side, so that it starts before it.
  """
  start = int(rng.integers(min(length - window, 0), max(length - window, 0) + 1))
  source = slice(max(start, 0), min(start + window, length))
  offset = max(-start, 0)
  return source, slice(offset, offset + source.stop - source.start)

"""Augmentation of one example: `(example, rng) -> example` with uint8 image [H, W, 3], label [H, W].

Each is a small callable object that can be sent to a worker process. What is random is drawn from
`rng` alone, which the loader seeds with (seed, place in the stream of examples).
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from train.data.classes import IGNORE
from train.data.transforms.photometric import PhotometricDistortion
from train.data.transforms.resize import Window, resized


@dataclasses.dataclass(frozen=True)
class RandomScale:
  """Both sides times a factor from [low, high]: the image bilinear, the label nearest."""

  low: float
  high: float

  def __post_init__(self):
    if not 0 < self.low <= self.high:
      raise ValueError(f"data.scale: expected 0 < low <= high, got ({self.low}, {self.high})")

  def __call__(self, example: dict, rng: np.random.Generator) -> dict:
    height, width = self.shape(example["label"].shape, rng)
    return {**example, **resized(example, (height, width), (slice(0, height), slice(0, width)))}

  def shape(self, shape: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """(height, width) after scaling by a random factor."""
    factor = rng.uniform(self.low, self.high)
    height, width = (max(1, round(side * factor)) for side in shape)
    return height, width


@dataclasses.dataclass(frozen=True)
class RandomCrop:
  """A window of (height, width) at random; what lies outside is the mean colour and ignored."""

  height: int
  width: int
  mean: tuple[int, int, int]

  def __post_init__(self):
    if min(self.height, self.width) < 1:
      raise ValueError(f"data.crop: expected positive (height, width), got {(self.height, self.width)}")

  def __call__(self, example: dict, rng: np.random.Generator) -> dict:
    seen, to = self.windows(example["label"].shape, rng)
    return {**example, **self.placed(example["image"][seen], example["label"][seen], to)}

  def windows(self, shape: tuple[int, int], rng: np.random.Generator) -> tuple[Window, Window]:
    """What the crop sees of an example of a shape, and where in the crop that lies."""
    rows, columns = (
      _seen(length, window, rng) for length, window in zip(shape, (self.height, self.width), strict=True)
    )
    return (rows[0], columns[0]), (rows[1], columns[1])

  def placed(self, image: np.ndarray, label: np.ndarray, to: Window) -> dict:
    """The crop around what it sees."""
    top, left = (part.start for part in to)
    bottom, right = self.height - to[0].stop, self.width - to[1].stop
    if not any((top, bottom, left, right)):
      return {"image": image, "label": label}

    def padded(array: np.ndarray, value) -> np.ndarray:
      return cv2.copyMakeBorder(array, top, bottom, left, right, cv2.BORDER_CONSTANT, value=value)

    return {"image": padded(image, self.mean), "label": padded(label, IGNORE)}


@dataclasses.dataclass(frozen=True)
class RandomScaledCrop:
  """`RandomScale`, then `RandomCrop`, resizing only what the crop sees.

  The labels are the same and the image's values to a rounding or two. A crop of 512x1024 sees a quarter
  of a 1024x2048 image at scale 1 and a sixteenth at scale 2.
  """

  scale: RandomScale
  crop: RandomCrop

  def __call__(self, example: dict, rng: np.random.Generator) -> dict:
    shape = example["label"].shape
    scaled = self.scale.shape(shape, rng)
    seen, to = self.crop.windows(scaled, rng)
    return {**example, **self.crop.placed(**resized(example, scaled, seen), to=to)}


def _seen(length: int, window: int, rng: np.random.Generator) -> tuple[slice, slice]:
  """Along an axis, the part of an example that a window sees, and where in the window it lies."""
  start = _offset(length, window, rng)
  seen = slice(max(start, 0), min(start + window, length))
  return seen, slice(max(-start, 0), max(-start, 0) + seen.stop - seen.start)


def _offset(length: int, window: int, rng: np.random.Generator) -> int:
  """Where the window begins: inside a longer side; before it (negative) where the side is shorter."""
  return int(rng.integers(min(length - window, 0), max(length - window, 0) + 1))


@dataclasses.dataclass(frozen=True)
class RandomFlip:
  """Mirrors left and right with probability 1/2."""

  def __call__(self, example: dict, rng: np.random.Generator) -> dict:
    if rng.random() < 0.5:
      return example
    return {**example, **{key: cv2.flip(example[key], 1) for key in ("image", "label")}}


@dataclasses.dataclass(frozen=True)
class Chain:
  """One transform after the other, from one generator."""

  transforms: tuple

  def __call__(self, example: dict, rng: np.random.Generator) -> dict:
    for transform in self.transforms:
      example = transform(example, rng)
    return example


def augmentation(data, mean: tuple[int, int, int]) -> Chain:
  """What `config.data` asks for: scale, crop, flip, photometric.

  Args:
    data: with scale (low, high), crop (height, width), flip (bool) and photometric (strength, 0 for
      none).
    mean: RGB of the padding.
  """
  chosen = [RandomScaledCrop(RandomScale(*data.scale), RandomCrop(*data.crop, mean=mean))]
  if data.flip:
    chosen.append(RandomFlip())
  if data.photometric:
    chosen.append(PhotometricDistortion(data.photometric))
  return Chain(tuple(chosen))

"""Augmentation of one example: `(example, rng) -> example` with uint8 image [H, W, 3], label [H, W].

Each is a small callable object that can be sent to a worker process. What is random is drawn from
`rng` alone, which the loader seeds with (seed, place in the stream of examples).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from train.data.classes import IGNORE

# Rows and columns of an array.
_Window = tuple[slice, slice]


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

  def windows(self, shape: tuple[int, int], rng: np.random.Generator) -> tuple[_Window, _Window]:
    """What the crop sees of an example of a shape, and where in the crop that lies."""
    rows, columns = (
      _seen(length, window, rng) for length, window in zip(shape, (self.height, self.width), strict=True)
    )
    return (rows[0], columns[0]), (rows[1], columns[1])

  def placed(self, image: np.ndarray, label: np.ndarray, to: _Window) -> dict:
    """The crop around what it sees."""
    images = np.full((self.height, self.width, 3), self.mean, np.uint8)
    labels = np.full((self.height, self.width), IGNORE, np.uint8)
    images[to], labels[to] = image, label
    return {"image": images, "label": labels}


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


def resized(example: dict, size: tuple[int, int], seen: _Window) -> dict:
  """A window of an example resized to (height, width): the image bilinear, the label nearest."""
  shape = example["label"].shape
  down, across = (whole / length for whole, length in zip(shape, size, strict=True))
  (top, bottom), (left, right) = ((part.start, part.stop) for part in seen)
  box = (left * across, top * down, right * across, bottom * down)
  image = Image.fromarray(example["image"])
  image = image.resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=box)
  # In integers: where a label is read must not depend on the window.
  rows, columns = (
    (2 * np.arange(part.start, part.stop) + 1) * whole // (2 * length)
    for part, whole, length in zip(seen, shape, size, strict=True)
  )
  return {"image": np.asarray(image), "label": example["label"][rows[:, None], columns]}


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
    return {**example, "image": example["image"][:, ::-1], "label": example["label"][:, ::-1]}


@dataclasses.dataclass(frozen=True)
class PhotometricDistortion:
  """Brightness, contrast, saturation and hue, each with probability 1/2 (SSD, Liu et al. 2016).

  All four are linear in the colours (hue as a rotation about the grey axis in YIQ), so they are one
  matrix and one pass over the image, and only its result is clipped.

  Attributes:
    strength: 1 is the usual: brightness +-12.5 %, contrast and saturation 0.5 to 1.5, hue +-18 degrees.
  """

  strength: float = 1.0

  def __post_init__(self):
    if not 0 <= self.strength <= 2:
      raise ValueError(f"data.photometric: expected 0 to 2, got {self.strength}")

  def __call__(self, example: dict, rng: np.random.Generator) -> dict:
    spreads = np.array([0.125, 0.5, 0.5, 18.0])
    drawn = self.strength * rng.uniform(-spreads, spreads) * (rng.random(4) < 0.5)
    brightness, contrast, saturation, degrees = drawn
    grey = example["image"][::4, ::4].mean((0, 1)) @ _GREY[0]
    matrix = _turned(degrees) @ (_GREY + (1 + saturation) * (np.eye(3) - _GREY))
    scale = (1 + brightness) * (1 + contrast)
    # Contrast keeps the mean grey; saturation and hue leave grey as it is.
    offset = -contrast * (1 + brightness) * grey
    rows = np.column_stack([scale * matrix, np.full(3, offset)])
    image = Image.fromarray(example["image"]).convert("RGB", tuple(rows.ravel()))
    return {**example, "image": np.asarray(image)}


# Every row the share of red, green and blue in grey (ITU-R 601).
_GREY = np.tile([0.299, 0.587, 0.114], (3, 1))
# RGB to YIQ: a colour's grey and two coordinates across the grey axis.
_YIQ = np.array([_GREY[0], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def _turned(degrees: float) -> np.ndarray:
  """The matrix that turns RGB colours about the grey axis."""
  cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
  turn = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
  return np.linalg.inv(_YIQ) @ turn @ _YIQ


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

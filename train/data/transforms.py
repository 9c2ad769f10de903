"""Augmentation of one example: `(example, rng) -> example` with uint8 image [H, W, 3], label [H, W].

Each is a small callable object that can be sent to a worker process. What is random is drawn from
`rng` alone, which the loader seeds with (seed, place in the stream of examples).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image, ImageEnhance

from train.data.classes import IGNORE


@dataclasses.dataclass(frozen=True)
class RandomScale:
  """Both sides times a factor from [low, high]: the image bilinear, the label nearest."""

  low: float
  high: float

  def __post_init__(self):
    if not 0 < self.low <= self.high:
      raise ValueError(f"data.scale: expected 0 < low <= high, got ({self.low}, {self.high})")

  def __call__(self, example: dict, rng: np.random.Generator) -> dict:
    height, width = example["label"].shape
    factor = rng.uniform(self.low, self.high)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    image = Image.fromarray(example["image"]).resize(size, Image.Resampling.BILINEAR)
    label = Image.fromarray(example["label"]).resize(size, Image.Resampling.NEAREST)
    return {**example, "image": np.asarray(image), "label": np.asarray(label)}


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
    height, width = example["label"].shape
    top = _offset(height, self.height, rng)
    left = _offset(width, self.width, rng)
    image = np.full((self.height, self.width, 3), self.mean, np.uint8)
    label = np.full((self.height, self.width), IGNORE, np.uint8)
    seen = slice(max(top, 0), top + self.height), slice(max(left, 0), left + self.width)
    part = example["label"][seen]
    to = (
      slice(max(-top, 0), max(-top, 0) + part.shape[0]),
      slice(max(-left, 0), max(-left, 0) + part.shape[1]),
    )
    image[to], label[to] = example["image"][seen], part
    return {**example, "image": image, "label": label}


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

  Attributes:
    strength: 1 is the usual: brightness +-12.5 %, contrast and saturation 0.5 to 1.5, hue +-18 degrees.
  """

  strength: float = 1.0

  def __post_init__(self):
    if not 0 <= self.strength <= 2:
      raise ValueError(f"data.photometric: expected 0 to 2, got {self.strength}")

  def __call__(self, example: dict, rng: np.random.Generator) -> dict:
    image = Image.fromarray(example["image"])
    for enhance, width in (
      (ImageEnhance.Brightness, 0.125),
      (ImageEnhance.Contrast, 0.5),
      (ImageEnhance.Color, 0.5),
    ):
      factor = 1 + self.strength * rng.uniform(-width, width)
      if rng.random() < 0.5:
        image = enhance(image).enhance(factor)
    shift = round(self.strength * rng.uniform(-18, 18) * 256 / 360)
    if rng.random() < 0.5:
      image = _turn_hue(image, shift)
    return {**example, "image": np.asarray(image)}


def _turn_hue(image: Image.Image, shift: int) -> Image.Image:
  hue, saturation, value = image.convert("HSV").split()
  hue = hue.point([(h + shift) % 256 for h in range(256)])
  return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


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
  chosen = [RandomScale(*data.scale), RandomCrop(*data.crop, mean=mean)]
  if data.flip:
    chosen.append(RandomFlip())
  if data.photometric:
    chosen.append(PhotometricDistortion(data.photometric))
  return Chain(tuple(chosen))

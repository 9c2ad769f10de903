"""The augmentation pipeline that a config describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from train.data.transforms.geometric import RandomCrop, RandomFlip, RandomScale, RandomScaledCrop
from train.data.transforms.photometric import PhotometricDistortion


@dataclasses.dataclass(frozen=True)
class Compose:
  """Applies transforms in order; all draw from the same generator."""

  transforms: tuple

  def __call__(self, example: dict, rng: np.random.Generator) -> dict:
    for transform in self.transforms:
      example = transform(example, rng)
    return example


def train_transform(data, mean: tuple[int, int, int]) -> Compose:
  """Builds the augmentation of `config.data`: scale and crop, flip, photometric distortion.

  Args:
    data: has the fields scale (low, high), crop (height, width), flip (bool) and photometric (strength;
      0 disables it).
    mean: RGB color of the padding.
  """
  transforms: list[Callable] = [RandomScaledCrop(RandomScale(*data.scale), RandomCrop(*data.crop, mean=mean))]
  if data.flip:
    transforms.append(RandomFlip())
  if data.photometric:
    transforms.append(PhotometricDistortion(data.photometric))
  return Compose(tuple(transforms))

"""Examples for tests of transforms, and all transforms by name."""

import numpy as np

from train.data.classes import IGNORE
from train.data.transforms.geometric import RandomCrop, RandomFlip, RandomScale, RandomScaledCrop
from train.data.transforms.photometric import PhotometricDistortion

MEAN = (124, 116, 104)
ALL = {
  "scale": RandomScale(0.5, 2.0),
  "crop": RandomCrop(20, 24, MEAN),
  "scaled crop": RandomScaledCrop(RandomScale(0.5, 2.0), RandomCrop(20, 24, MEAN)),
  "flip": RandomFlip(),
  "photometric": PhotometricDistortion(1.0),
}


def rng(seed=0):
  return np.random.default_rng(seed)


def example(size=(24, 32), seed=0):
  """An example with distinct pixel colors (row, column, noise) and labels 0..10 and 255."""
  rows, columns = np.indices(size)
  noise = rng(seed).integers(0, 256, size)
  image = np.stack([rows * 3, columns * 3, noise], -1).astype(np.uint8)
  label = rng(seed + 1).choice([*range(11), IGNORE], size).astype(np.uint8)
  return {"id": "a", "image": image, "label": label}


def blocks(size=(48, 64), edge=16):
  """A checkerboard of black and white blocks, labeled 3 and 9."""
  rows, columns = np.indices(size) // edge
  white = (rows + columns) % 2
  image = np.repeat((white * 255).astype(np.uint8)[..., None], 3, -1)
  return {"id": "b", "image": image, "label": np.where(white, 9, 3).astype(np.uint8)}

"""Images for the tests of serving and reporting."""

import numpy as np
from PIL import Image


def noise(*shape):
  return np.random.default_rng(sum(shape)).integers(0, 256, (*shape, 3), np.uint8)


def photograph(path):
  """Writes an image with large areas, so that its classes differ; returns its decoded pixels."""
  pixels = noise(5, 7).repeat(9, 0).repeat(9, 1)[:40, :50]
  Image.fromarray(pixels).save(path, quality=95)
  with Image.open(path) as image:
    return np.asarray(image.convert("RGB"))


def load_image(path):
  """The image, with its file closed."""
  image = Image.open(path)
  image.load()
  return image

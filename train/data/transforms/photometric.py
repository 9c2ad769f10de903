"""Photometric distortion: a random change of an example's colours."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np


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
    # A quarter of the rows says enough of the mean, which contrast alone asks for.
    grey = _GREY[0] @ cv2.mean(example["image"][::4])[:3] if contrast else 0.0
    matrix = _turned(degrees) @ (_GREY + (1 + saturation) * (np.eye(3) - _GREY))
    scale = (1 + brightness) * (1 + contrast)
    # Contrast keeps the mean grey; saturation and hue leave grey as it is.
    offset = -contrast * (1 + brightness) * grey
    rows = np.column_stack([scale * matrix, np.full(3, offset)])
    return {**example, "image": cv2.transform(example["image"], rows)}


# Every row the share of red, green and blue in grey (ITU-R 601).
_GREY = np.tile([0.299, 0.587, 0.114], (3, 1))
# RGB to YIQ: a colour's grey and two coordinates across the grey axis.
_YIQ = np.array([_GREY[0], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_RGB = np.linalg.inv(_YIQ)


def _turned(degrees: float) -> np.ndarray:
  """The matrix that turns RGB colours about the grey axis."""
  cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
  turn = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
  return _RGB @ turn @ _YIQ

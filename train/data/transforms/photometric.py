"""Photometric distortion: a random change of an image's colors."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class PhotometricDistortion:
  """Changes brightness, contrast, saturation and hue, each with probability 1/2 (SSD, Liu et al., 2016).

  All four are linear in the colors (hue is a rotation about the gray axis in YIQ), so they are combined
  into one matrix and applied in one pass; only the final result is clipped.

  Attributes:
    strength: 1 is the usual: brightness +-12.5 %, contrast and saturation 0.5 to 1.5, hue +-18 degrees.
  """

  strength: float = 1.0

  def __post_init__(self):
    if not 0 <= self.strength <= 2:
      raise ValueError(f"data.photometric: expected 0 to 2, got {self.strength}")

  def __call__(self, example: dict, rng: np.random.Generator) -> dict:
    limits = np.array([0.125, 0.5, 0.5, 18.0])
    changes = self.strength * rng.uniform(-limits, limits) * (rng.random(4) < 0.5)
    brightness, contrast, saturation, degrees = changes
    # Only contrast needs the mean, and every fourth row estimates it well enough.
    mean = _GRAY[0] @ cv2.mean(example["image"][::4])[:3] if contrast else 0.0
    matrix = _rotate_hue(degrees) @ (_GRAY + (1 + saturation) * (np.eye(3) - _GRAY))
    scale = (1 + brightness) * (1 + contrast)
    # Contrast keeps the mean gray level; saturation and hue do not change gray.
    offset = -contrast * (1 + brightness) * mean
    rows = np.column_stack([scale * matrix, np.full(3, offset)])
    return {**example, "image": cv2.transform(example["image"], rows)}


# Each row holds the weights of red, green and blue in gray (ITU-R 601).
_GRAY = np.tile([0.299, 0.587, 0.114], (3, 1))
# RGB to YIQ: the gray level and two coordinates perpendicular to the gray axis.
_YIQ = np.array([_GRAY[0], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_RGB = np.linalg.inv(_YIQ)


def _rotate_hue(degrees: float) -> np.ndarray:
  """The matrix that rotates RGB colors about the gray axis, `[3, 3]`."""
  cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
  rotation = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
  return _RGB @ rotation @ _YIQ

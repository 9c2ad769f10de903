"""The canvas of a generated scene: an image and its label map, drawn through one camera.

Lengths are meters in camera space: x to the right, y up from the ground, z away from the viewer. Each call
draws on image and label map alike, so that the labels are exact.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

EYE = 1.6
"""Height of the camera above the ground."""

Color = tuple[int, int, int]
Pixel = tuple[int, int]
"""Column and row."""
Ground = tuple[float, float]
"""A position on the ground, (x, z)."""
Position = tuple[float, float, float]
"""A position in space, (x, y, z)."""


class Label(enum.IntEnum):
  """Train ids of the classes."""

  SKY = 0
  ROAD = 1
  BUILDING = 2
  TREE = 3
  POLE = 4
  WIRE = 5
  FENCE = 6
  SIGN = 7
  PEDESTRIAN = 8


class Canvas:
  """An image and its label map with a random camera.

  Args:
    rng: draws the camera.
    size: height and width in pixels.
  """

  def __init__(self, rng: np.random.Generator, size: tuple[int, int]):
    self.height, self.width = size
    self.horizon = self.height * rng.uniform(0.5, 0.6)
    self.center = self.width * rng.uniform(0.36, 0.64)
    self.focal = self.height * rng.uniform(1.0, 1.25)
    self.image = Image.new("RGB", (self.width, self.height))
    self.label = Image.new("L", (self.width, self.height), int(Label.SKY))
    self._draws = ImageDraw.Draw(self.image), ImageDraw.Draw(self.label)

  def project(self, x: float, y: float, z: float) -> Pixel:
    """The pixel of a position in space."""
    scale = self.focal / z
    return round(self.center + x * scale), round(self.horizon + (EYE - y) * scale)

  def to_pixels(self, meters: float, z: float) -> int:
    """A length at distance `z` in pixels, at least what stays visible at an output stride of 4."""
    return max(round(meters * self.focal / z), round(self.height / 48), 1)

  def polygon(self, points: Sequence[Pixel], color: Color | None, label: Label | None = None) -> None:
    """Draws a filled polygon; without a color only on the label map, without a label only on the image."""
    for draw, fill in zip(self._draws, (color, label), strict=True):
      if fill is not None:
        draw.polygon(points, fill=fill)

  def ellipse(self, center: Pixel, radii: Pixel, color: Color, label: Label | None = None) -> None:
    """Draws a filled ellipse."""
    box = (center[0] - radii[0], center[1] - radii[1], center[0] + radii[0], center[1] + radii[1])
    for draw, fill in zip(self._draws, (color, label), strict=True):
      if fill is not None:
        draw.ellipse(box, fill=fill)

  def line(self, points: Sequence[Pixel], width: int, color: Color, label: Label | None = None) -> None:
    """Draws a line `width` pixels wide."""
    for draw, fill in zip(self._draws, (color, label), strict=True):
      if fill is not None:
        draw.line(points, fill=fill, width=width)

  def vertical_bar(self, foot: Pixel, top: int, width: int, color: Color, label: Label) -> None:
    """Draws a vertical bar from `foot` up to row `top`."""
    left = foot[0] - width // 2
    right = left + width - 1
    self.polygon([(left, top), (right, top), (right, foot[1]), (left, foot[1])], color, label)

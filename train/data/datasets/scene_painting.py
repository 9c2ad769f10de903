"""What a generated street is painted with: a camera, a canvas of picture and labels, and the things on it.

Lengths are metres in camera space: x to the right, y up from the ground, z away from the viewer. Everything
that is to be labelled goes through one call onto picture and label map alike, so that the labels are exact.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

EYE = 1.6
"""Height of the viewer's eye above the ground."""

Colour = tuple[int, int, int]
Point = tuple[int, int]
Ground = tuple[float, float]
"""A place on the ground, (x, z)."""
Place = tuple[float, float, float]
"""A place in space, (x, y, z)."""


class Label(enum.IntEnum):
  """Train ids of what can be seen."""

  SKY = 0
  ROAD = 1
  BUILDING = 2
  TREE = 3
  POLE = 4
  WIRE = 5
  FENCE = 6
  SIGN = 7
  PEDESTRIAN = 8


# The ranges of classes overlap on purpose: colour alone must not tell what a pixel shows.
WALLS = ((150, 142, 132), (120, 116, 114), (158, 116, 96), (176, 160, 128), (108, 122, 138), (122, 134, 106))
LEAVES = ((72, 104, 60), (96, 112, 58), (140, 120, 62), (58, 84, 62), (112, 98, 80))
SKIES = ((150, 180, 214), (186, 192, 198), (206, 186, 170), (140, 154, 176))
METALS = ((96, 98, 102), (60, 62, 64), (112, 92, 74), (140, 142, 144), (78, 96, 80))
RAILS = ((126, 100, 76), (172, 170, 164), (76, 98, 76), (84, 84, 90))
PLATES = ((188, 60, 54), (58, 90, 168), (206, 176, 70), (202, 202, 198), (60, 126, 92))
CLOTHES = ((66, 64, 74), (150, 66, 60), (70, 92, 140), (168, 160, 146), (104, 112, 72), (190, 150, 70))
SKIN = ((206, 164, 138), (150, 108, 84), (98, 72, 58))


def pick(rng: np.random.Generator, colours: Sequence[Colour], spread: int = 18) -> Colour:
  """One of the colours, lighter or darker by up to `spread`, its channels by a third of that."""
  base = colours[rng.integers(len(colours))]
  shifts = rng.integers(-spread, spread + 1) + rng.integers(-(spread // 3), spread // 3 + 1, 3)
  return tuple(int(min(max(c + s, 0), 255)) for c, s in zip(base, shifts, strict=True))


def shade(colour: Colour, percent: int) -> Colour:
  """The colour at so many percent of its brightness."""
  return tuple(min(c * percent // 100, 255) for c in colour)


class Canvas:
  """A picture and its label map, seen through one camera.

  Args:
    rng: draws the camera.
    size: height and width in pixels.
  """

  def __init__(self, rng: np.random.Generator, size: tuple[int, int]):
    self.height, self.width = size
    self.horizon = self.height * rng.uniform(0.5, 0.6)
    self.centre = self.width * rng.uniform(0.36, 0.64)
    self.focal = self.height * rng.uniform(1.0, 1.25)
    self.image = Image.new("RGB", (self.width, self.height))
    self.label = Image.new("L", (self.width, self.height), int(Label.SKY))
    self._brushes = ImageDraw.Draw(self.image), ImageDraw.Draw(self.label)

  def project(self, x: float, y: float, z: float) -> Point:
    """The pixel that shows a place."""
    scale = self.focal / z
    return round(self.centre + x * scale), round(self.horizon + (EYE - y) * scale)

  def pixels(self, metres: float, z: float) -> int:
    """A length at a distance, in pixels; no less than what stays visible at an overall stride of 4."""
    return max(round(metres * self.focal / z), round(self.height / 48), 1)

  def polygon(self, points: Sequence[Point], colour: Colour | None, label: Label | None = None) -> None:
    """A filled polygon; without a colour only the label map changes, without a label only the picture."""
    for brush, ink in zip(self._brushes, (colour, label), strict=True):
      if ink is not None:
        brush.polygon(points, fill=ink)

  def ellipse(self, centre: Point, radii: Point, colour: Colour, label: Label | None = None) -> None:
    """A filled ellipse."""
    box = (centre[0] - radii[0], centre[1] - radii[1], centre[0] + radii[0], centre[1] + radii[1])
    for brush, ink in zip(self._brushes, (colour, label), strict=True):
      if ink is not None:
        brush.ellipse(box, fill=ink)

  def line(self, points: Sequence[Point], width: int, colour: Colour, label: Label | None = None) -> None:
    """A line of that many pixels' width."""
    for brush, ink in zip(self._brushes, (colour, label), strict=True):
      if ink is not None:
        brush.line(points, fill=ink, width=width)

  def upright(self, foot: Point, top: int, width: int, colour: Colour, label: Label) -> None:
    """A vertical bar from a foot up to row `top`."""
    left = foot[0] - width // 2
    right = left + width - 1
    self.polygon([(left, top), (right, top), (right, foot[1]), (left, foot[1])], colour, label)


def paint_wall(
  rng: np.random.Generator, canvas: Canvas, start: Ground, end: Ground, height: float, colour: Colour
) -> None:
  """A wall between two places, with rows of windows.

  Windows are part of the building; they are as dark as wires or as bright as the sky.
  """

  def corner(along: float, up: float) -> Point:
    x, z = (a + along * (b - a) for a, b in zip(start, end, strict=True))
    return canvas.project(x, up, z)

  def quad(left: float, right: float, low: float, high: float) -> list[Point]:
    return [corner(left, low), corner(right, low), corner(right, high), corner(left, high)]

  canvas.polygon(quad(0, 1, 0, height), colour, Label.BUILDING)
  canvas.polygon(quad(0, 1, height - 0.4, height), shade(colour, 78))
  length = abs(end[0] - start[0]) + abs(end[1] - start[1])
  columns, floors = max(int(length / 2.4), 1), max(int(height / 3), 1)
  for floor in range(floors):
    for column in range(columns):
      pane = shade((92, 104, 120), int(rng.integers(40, 190)))
      low = 0.9 + floor * height / floors
      canvas.polygon(quad((column + 0.25) / columns, (column + 0.72) / columns, low, low + 1.4), pane)


def paint_building(rng: np.random.Generator, canvas: Canvas, x: float, near: float, far: float) -> None:
  """A house along the street from z = `near` to `far`, its front at x."""
  height, colour, side = rng.uniform(3.6, 8.5), pick(rng, WALLS), math.copysign(1, x)
  paint_wall(rng, canvas, (x, near), (x + side * 9, near), height, shade(colour, 86))
  paint_wall(rng, canvas, (x, near), (x, far), height, colour)


def paint_tree(rng: np.random.Generator, canvas: Canvas, x: float, z: float) -> None:
  """A trunk under a crown of leaf clumps, dark below and light above."""
  height, spread, colour = rng.uniform(4, 7), rng.uniform(1.2, 2.1), pick(rng, LEAVES)
  foot, crown = canvas.project(x, 0, z), canvas.project(x, height * 0.7, z)
  canvas.upright(foot, crown[1], canvas.pixels(0.3, z), (84, 70, 58), Label.TREE)
  reach = canvas.focal * spread / z
  for clump in range(14):
    dx, dy = rng.uniform(-0.8, 0.8), 0.9 - clump * 0.13
    radius = round(reach * rng.uniform(0.4, 0.62))
    centre = round(crown[0] + dx * reach), round(crown[1] + dy * reach)
    canvas.ellipse(centre, (radius, radius), shade(colour, 72 + 4 * clump), Label.TREE)


def paint_pole(canvas: Canvas, x: float, z: float, height: float, colour: Colour) -> None:
  """A mast with an arm towards the street."""
  width = canvas.pixels(0.22, z)
  foot, top = canvas.project(x, 0, z), canvas.project(x, height, z)
  canvas.upright(foot, top[1], width, colour, Label.POLE)
  arm = canvas.project(x * 0.75, height, z)
  canvas.line([top, arm], canvas.pixels(0.1, z), colour, Label.POLE)


def paint_wire(canvas: Canvas, start: Place, end: Place, sag: float) -> None:
  """A wire between two places, hanging through by `sag`."""
  points = []
  for step in range(9):
    t = step / 8
    x, y, z = (a + t * (b - a) for a, b in zip(start, end, strict=True))
    points.append(canvas.project(x, y - 4 * sag * t * (1 - t), z))
  # One row below another: a single line of several pixels' width has steps where its parts meet.
  for row in range(canvas.pixels(0.05, max(start[2], end[2]))):
    canvas.line([(column, y + row) for column, y in points], 1, (52, 52, 56), Label.WIRE)


def paint_fence(canvas: Canvas, start: Ground, end: Ground, colour: Colour) -> None:
  """A panel between two places; the gaps between its slats count as fence, as in Cityscapes."""
  low, far_low = (canvas.project(x, 0, z) for x, z in (start, end))
  high, far_high = (canvas.project(x, 1.2, z) for x, z in (start, end))
  canvas.polygon([low, far_low, far_high, high], None, Label.FENCE)
  width = max(canvas.pixels(0, start[1]) // 2, 1)
  slats = max(abs(far_low[0] - low[0]) // (2 * width + 1), 1)
  for slat in range(slats + 1):
    foot, top = (
      (a[0] + (b[0] - a[0]) * slat // slats, a[1] + (b[1] - a[1]) * slat // slats)
      for a, b in ((low, far_low), (high, far_high))
    )
    canvas.line([foot, top], width, colour)
  canvas.line([high, far_high], width, shade(colour, 115))
  canvas.line([low, far_low], width, shade(colour, 80))


def paint_sign(rng: np.random.Generator, canvas: Canvas, x: float, z: float) -> None:
  """A round, square or triangular plate with a rim on a post."""
  colour, rim = pick(rng, PLATES), pick(rng, PLATES)
  foot, (column, row) = canvas.project(x, 0, z), canvas.project(x, rng.uniform(2.1, 2.8), z)
  canvas.upright(foot, row, canvas.pixels(0.08, z), pick(rng, METALS), Label.POLE)
  radius = max(canvas.pixels(0.42, z), round(canvas.height / 32))
  shape = rng.integers(3)
  for r, ink in ((radius, rim), (radius - max(radius // 3, 1), colour)):
    square = [(column - r, row - r), (column + r, row - r), (column + r, row + r), (column - r, row + r)]
    if shape == 0:
      canvas.ellipse((column, row), (r, r), ink, Label.SIGN)
    else:
      canvas.polygon(square if shape == 1 else [(column, row - r), *square[2:]], ink, Label.SIGN)


def paint_pedestrian(rng: np.random.Generator, canvas: Canvas, x: float, z: float) -> None:
  """Two legs, a torso and a head."""
  tall, coat, trousers = rng.uniform(1.55, 1.85), pick(rng, CLOTHES), pick(rng, CLOTHES)
  column, foot = canvas.project(x, 0, z)
  hip, neck, head = (canvas.project(x, tall * part, z)[1] for part in (0.48, 0.84, 0.91))
  body, leg = canvas.pixels(0.5, z), max(canvas.pixels(0.4, z) // 3, 1)
  for stride in (-1, 1):
    canvas.line([(column, hip), (column + stride * leg, foot)], leg, trousers, Label.PEDESTRIAN)
  canvas.upright((column, hip), neck, body, coat, Label.PEDESTRIAN)
  radius = max(canvas.pixels(0.13, z) // 2 + 1, 1)
  canvas.ellipse((column, head), (radius, radius), pick(rng, SKIN), Label.PEDESTRIAN)

"""The layout of a generated scene: where the sky, the street and its objects are."""

from __future__ import annotations

import numpy as np

from train.data.datasets.scene_canvas import Canvas, Color, Label, Pixel
from train.data.datasets.scene_colors import (
  FENCE_COLORS,
  METAL_COLORS,
  SKY_COLORS,
  WALL_COLORS,
  pick_color,
  scale_brightness,
)
from train.data.datasets.scene_objects import (
  paint_building,
  paint_fence,
  paint_pedestrian,
  paint_pole,
  paint_sign,
  paint_tree,
  paint_wall,
  paint_wire,
)


def paint_scene(rng: np.random.Generator, canvas: Canvas) -> None:
  """Paints a street scene from back to front."""
  _paint_backdrop(rng, canvas)
  _paint_buildings(rng, canvas)
  _paint_objects(rng, canvas)


def _paint_backdrop(rng: np.random.Generator, canvas: Canvas) -> None:
  """Paints a sky that brightens towards the horizon, clouds and the ground."""
  width, height, horizon = canvas.width, canvas.height, round(canvas.horizon)
  sky = pick_color(rng, SKY_COLORS)
  for band in range(12):
    top = band * horizon // 12
    canvas.polygon(_rectangle(0, top, width, horizon), scale_brightness(sky, 92 + 2 * band), Label.SKY)
  for _ in range(rng.integers(6)):
    center = int(rng.integers(width)), int(rng.integers(horizon))
    radii = int(rng.integers(width // 12, width // 4)), int(rng.integers(height // 32, height // 12))
    canvas.ellipse(center, radii, scale_brightness(sky, int(rng.integers(92, 118))))
  gray = int(rng.integers(84, 142))
  asphalt = (gray, gray - 2, gray - 4)
  canvas.polygon(_rectangle(0, horizon, width, height), scale_brightness(asphalt, 124), Label.ROAD)
  _paint_road(canvas, asphalt)


def _rectangle(left: int, top: int, right: int, bottom: int) -> list[Pixel]:
  return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _paint_road(canvas: Canvas, asphalt: Color) -> None:
  """Paints asphalt between two curbs and a dashed line; the ground beside it is the sidewalk."""
  _paint_strip(canvas, -4, 4, asphalt)
  for curb in (-4, 4):
    _paint_strip(canvas, curb - 0.12, curb + 0.12, scale_brightness(asphalt, 150))
  for dash in range(2, 24, 4):
    _paint_strip(canvas, -0.12, 0.12, scale_brightness(asphalt, 185), dash, dash + 2)


def _paint_strip(
  canvas: Canvas, left: float, right: float, color: Color, near: float = 1.5, far: float = 200
) -> None:
  """Paints a strip of the ground along the street; the label map is unchanged."""
  corners = ((left, near), (left, far), (right, far), (right, near))
  canvas.polygon([canvas.project(x, 0, z) for x, z in corners], color)


def _paint_buildings(rng: np.random.Generator, canvas: Canvas) -> None:
  """Paints a house across the end of the street and a row with gaps on either side, from back to front."""
  paint_wall(rng, canvas, (-30, 70), (30, 70), rng.uniform(3, 12), pick_color(rng, WALL_COLORS))
  for side in (-1, 1):
    far = 64.0
    while far > 12:
      near = max(far - rng.uniform(7, 16), 4)
      if rng.random() < 0.75:
        paint_building(rng, canvas, side * rng.uniform(7.5, 10), near, far)
      far = near


def _paint_objects(rng: np.random.Generator, canvas: Canvas) -> None:
  """Paints everything that stands on the sidewalks and the street, from back to front."""
  # Distance, painter and the painter's arguments.
  objects = [*_place_poles_and_wires(rng, canvas), *_place_fences(rng, canvas)]
  for painter, most, (near, far), (inner, outer) in (
    (paint_tree, 6, (9, 40), (6.2, 9)),
    (paint_sign, 4, (7, 17), (4.3, 5)),
    (paint_pedestrian, 6, (7, 17), (1, 6.5)),
  ):
    for _ in range(rng.integers(1, most + 1)):
      x, z = _pick_side(rng) * rng.uniform(inner, outer), rng.uniform(near, far)
      objects.append((z, painter, (rng, canvas, x, z)))
  for _, painter, arguments in sorted(objects, key=lambda entry: -entry[0]):
    painter(*arguments)


def _pick_side(rng: np.random.Generator) -> int:
  """-1 for left or 1 for right."""
  return 1 - 2 * int(rng.integers(2))


def _place_poles_and_wires(rng: np.random.Generator, canvas: Canvas) -> list[tuple]:
  """Places a row of masts with wires on one side, and wires across the street to masts on the other."""
  height, color, curb = rng.uniform(4.6, 6.2), pick_color(rng, METAL_COLORS), 4.6 * _pick_side(rng)
  nearest, spacing, sag = rng.uniform(6, 9), rng.uniform(7, 11), rng.uniform(0.2, 0.7)
  row = [nearest, nearest + spacing, nearest + 2 * spacing]
  objects = []
  for z, before in zip(row, [2.5, *row], strict=False):
    objects.append((z, paint_pole, (canvas, curb, z, height, color)))
    objects.append((before, paint_wire, (canvas, (curb, height, before), (curb, height, z), sag)))
    if rng.random() < 0.5:
      objects.append((z, paint_pole, (canvas, -curb, z, height, color)))
      objects.append((z, paint_wire, (canvas, (curb, height, z), (-curb, height, z), sag)))
  return objects


def _place_fences(rng: np.random.Generator, canvas: Canvas) -> list[tuple]:
  """Places one to three rows of panels along the street or across a sidewalk."""
  objects = []
  for _ in range(rng.integers(1, 4)):
    side, color = _pick_side(rng), pick_color(rng, FENCE_COLORS)
    x, z = side * rng.uniform(4.4, 7), rng.uniform(6, 12)
    step_x, step_z = (1.6 * side, 0) if rng.random() < 0.4 else (0, 2)
    for _ in range(rng.integers(2, 6)):
      objects.append((z, paint_fence, (canvas, (x, z), (x + step_x, z + step_z), color)))
      x, z = x + step_x, z + step_z
  return objects

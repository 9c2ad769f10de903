"""The objects of a generated scene: buildings, trees, poles, wires, fences, signs and pedestrians."""

from __future__ import annotations

import math

import numpy as np

from train.data.datasets.scene_canvas import Canvas, Color, Ground, Label, Pixel, Position
from train.data.datasets.scene_colors import (
  CLOTHES_COLORS,
  LEAF_COLORS,
  METAL_COLORS,
  SIGN_COLORS,
  SKIN_COLORS,
  WALL_COLORS,
  pick_color,
  scale_brightness,
)


def paint_wall(
  rng: np.random.Generator, canvas: Canvas, start: Ground, end: Ground, height: float, color: Color
) -> None:
  """Paints a wall between two positions, with rows of windows.

  Windows are labeled as building; they are as dark as wires or as bright as the sky.
  """

  def corner(along: float, up: float) -> Pixel:
    x, z = (a + along * (b - a) for a, b in zip(start, end, strict=True))
    return canvas.project(x, up, z)

  def quad(left: float, right: float, low: float, high: float) -> list[Pixel]:
    return [corner(left, low), corner(right, low), corner(right, high), corner(left, high)]

  canvas.polygon(quad(0, 1, 0, height), color, Label.BUILDING)
  canvas.polygon(quad(0, 1, height - 0.4, height), scale_brightness(color, 78))
  length = abs(end[0] - start[0]) + abs(end[1] - start[1])
  columns, floors = max(int(length / 2.4), 1), max(int(height / 3), 1)
  for floor in range(floors):
    for column in range(columns):
      pane = scale_brightness((92, 104, 120), int(rng.integers(40, 190)))
      low = 0.9 + floor * height / floors
      canvas.polygon(quad((column + 0.25) / columns, (column + 0.72) / columns, low, low + 1.4), pane)


def paint_building(rng: np.random.Generator, canvas: Canvas, x: float, near: float, far: float) -> None:
  """Paints a house along the street from z = `near` to `far`, with its front at x."""
  height, color, side = rng.uniform(3.6, 8.5), pick_color(rng, WALL_COLORS), math.copysign(1, x)
  paint_wall(rng, canvas, (x, near), (x + side * 9, near), height, scale_brightness(color, 86))
  paint_wall(rng, canvas, (x, near), (x, far), height, color)


def paint_tree(rng: np.random.Generator, canvas: Canvas, x: float, z: float) -> None:
  """Paints a trunk and a crown of clumps of leaves, from dark at the bottom to light at the top."""
  height, spread, color = rng.uniform(4, 7), rng.uniform(1.2, 2.1), pick_color(rng, LEAF_COLORS)
  foot, crown = canvas.project(x, 0, z), canvas.project(x, height * 0.7, z)
  canvas.vertical_bar(foot, crown[1], canvas.to_pixels(0.3, z), (84, 70, 58), Label.TREE)
  reach = canvas.focal * spread / z
  for clump in range(14):
    dx, dy = rng.uniform(-0.8, 0.8), 0.9 - clump * 0.13
    radius = round(reach * rng.uniform(0.4, 0.62))
    center = round(crown[0] + dx * reach), round(crown[1] + dy * reach)
    canvas.ellipse(center, (radius, radius), scale_brightness(color, 72 + 4 * clump), Label.TREE)


def paint_pole(canvas: Canvas, x: float, z: float, height: float, color: Color) -> None:
  """Paints a mast with an arm that points to the street."""
  width = canvas.to_pixels(0.22, z)
  foot, top = canvas.project(x, 0, z), canvas.project(x, height, z)
  canvas.vertical_bar(foot, top[1], width, color, Label.POLE)
  arm = canvas.project(x * 0.75, height, z)
  canvas.line([top, arm], canvas.to_pixels(0.1, z), color, Label.POLE)


def paint_wire(canvas: Canvas, start: Position, end: Position, sag: float) -> None:
  """Paints a wire between two positions that sags by `sag` meters in the middle."""
  points = []
  for step in range(9):
    t = step / 8
    x, y, z = (a + t * (b - a) for a, b in zip(start, end, strict=True))
    points.append(canvas.project(x, y - 4 * sag * t * (1 - t), z))
  # One line per row of pixels, because a wider line has steps where its segments meet.
  for row in range(canvas.to_pixels(0.05, max(start[2], end[2]))):
    canvas.line([(column, y + row) for column, y in points], 1, (52, 52, 56), Label.WIRE)


def paint_fence(canvas: Canvas, start: Ground, end: Ground, color: Color) -> None:
  """Paints a panel between two positions; gaps between slats are labeled as fence, as in Cityscapes."""
  low, far_low = (canvas.project(x, 0, z) for x, z in (start, end))
  high, far_high = (canvas.project(x, 1.2, z) for x, z in (start, end))
  canvas.polygon([low, far_low, far_high, high], None, Label.FENCE)
  width = max(canvas.to_pixels(0, start[1]) // 2, 1)
  slats = max(abs(far_low[0] - low[0]) // (2 * width + 1), 1)
  for slat in range(slats + 1):
    foot, top = (
      (a[0] + (b[0] - a[0]) * slat // slats, a[1] + (b[1] - a[1]) * slat // slats)
      for a, b in ((low, far_low), (high, far_high))
    )
    canvas.line([foot, top], width, color)
  canvas.line([high, far_high], width, scale_brightness(color, 115))
  canvas.line([low, far_low], width, scale_brightness(color, 80))


def paint_sign(rng: np.random.Generator, canvas: Canvas, x: float, z: float) -> None:
  """Paints a round, square or triangular plate with a rim on a post."""
  color, rim = pick_color(rng, SIGN_COLORS), pick_color(rng, SIGN_COLORS)
  foot, (column, row) = canvas.project(x, 0, z), canvas.project(x, rng.uniform(2.1, 2.8), z)
  canvas.vertical_bar(foot, row, canvas.to_pixels(0.08, z), pick_color(rng, METAL_COLORS), Label.POLE)
  radius = max(canvas.to_pixels(0.42, z), round(canvas.height / 32))
  shape = rng.integers(3)
  for r, fill in ((radius, rim), (radius - max(radius // 3, 1), color)):
    square = [(column - r, row - r), (column + r, row - r), (column + r, row + r), (column - r, row + r)]
    if shape == 0:
      canvas.ellipse((column, row), (r, r), fill, Label.SIGN)
    else:
      canvas.polygon(square if shape == 1 else [(column, row - r), *square[2:]], fill, Label.SIGN)


def paint_pedestrian(rng: np.random.Generator, canvas: Canvas, x: float, z: float) -> None:
  """Paints two legs, a torso and a head."""
  tall, coat, trousers = (
    rng.uniform(1.55, 1.85),
    pick_color(rng, CLOTHES_COLORS),
    pick_color(rng, CLOTHES_COLORS),
  )
  column, foot = canvas.project(x, 0, z)
  hip, neck, head = (canvas.project(x, tall * part, z)[1] for part in (0.48, 0.84, 0.91))
  body, leg = canvas.to_pixels(0.5, z), max(canvas.to_pixels(0.4, z) // 3, 1)
  for stride in (-1, 1):
    canvas.line([(column, hip), (column + stride * leg, foot)], leg, trousers, Label.PEDESTRIAN)
  canvas.vertical_bar((column, hip), neck, body, coat, Label.PEDESTRIAN)
  radius = max(canvas.to_pixels(0.13, z) // 2 + 1, 1)
  canvas.ellipse((column, head), (radius, radius), pick_color(rng, SKIN_COLORS), Label.PEDESTRIAN)

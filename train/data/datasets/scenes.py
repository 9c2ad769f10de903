"""Generated street scenes with exact labels: a segmentation data set that needs no download.

Sky, road, buildings and trees fill the picture; poles, wires, fences, signs and pedestrians are a few pixels
wide, which is what makes the pooling matter. Colours of classes overlap: shape and texture tell them apart.
"""

from __future__ import annotations

import operator

import numpy as np

from train.data.classes import IGNORE, ClassTable, LabelClass
from train.data.datasets import scene_painting as paint
from train.data.datasets.scene_painting import Canvas, Label

SCENES = ClassTable(
  [
    LabelClass("sky", Label.SKY, Label.SKY, (70, 130, 180)),
    LabelClass("road", Label.ROAD, Label.ROAD, (128, 64, 128)),
    LabelClass("building", Label.BUILDING, Label.BUILDING, (70, 70, 70)),
    LabelClass("tree", Label.TREE, Label.TREE, (107, 142, 35)),
    LabelClass("pole", Label.POLE, Label.POLE, (230, 230, 230), thin=True),
    LabelClass("wire", Label.WIRE, Label.WIRE, (0, 220, 220), thin=True),
    LabelClass("fence", Label.FENCE, Label.FENCE, (190, 120, 80), thin=True),
    LabelClass("sign", Label.SIGN, Label.SIGN, (240, 220, 0), thin=True),
    LabelClass("pedestrian", Label.PEDESTRIAN, Label.PEDESTRIAN, (220, 20, 60), thin=True),
    LabelClass("void", IGNORE, IGNORE, (0, 0, 0)),
  ]
)
"""The classes; raw ids are train ids."""

SMALLEST = 32
"""Height and width below which a thin structure has no pixels left."""

_IS_THIN = np.isin(np.arange(256), SCENES.thin)
# Grey levels of noise by class: single pixels, and patches of 3 x 3. Leaves are the roughest.
_GRAIN = np.array([2, 9, 5, 14, 4, 3, 6, 4, 6], np.float32)
_PATCHES = np.array([4, 6, 7, 22, 3, 2, 5, 3, 4], np.float32)


class Scenes:
  """A source of street scenes with random access; example i depends on the seed and i alone.

  Args:
    count: how many examples.
    seed: which ones; another seed is another split.
    size: height and width of the examples in pixels.

  Raises:
    ValueError: a count below 1, a negative seed, or a size below 32 x 32.
  """

  def __init__(self, count: int, seed: int, size: tuple[int, int] = (96, 128)):
    if count < 1:
      raise ValueError(f"count: expected at least 1, got {count}")
    if seed < 0:
      raise ValueError(f"seed: expected 0 or more, got {seed}")
    if len(size) != 2 or min(size) < SMALLEST:
      raise ValueError(f"size: expected (height, width) of at least {SMALLEST} each, got {size}")
    self.count, self.seed, self.size = count, seed, tuple(size)

  def __len__(self) -> int:
    return self.count

  def __getitem__(self, i: int) -> dict:
    """Example i.

    Returns:
      `image`, uint8 RGB `[height, width, 3]`; `label`, uint8 train ids `[height, width]` with 255 on the
      borders between classes; `id`, a name that is the same for the same example.

    Raises:
      IndexError: i is not in 0..count-1.
    """
    i = operator.index(i)
    if not 0 <= i < self.count:
      raise IndexError(f"index: expected 0..{self.count - 1}, got {i}")
    rng = np.random.default_rng((self.seed, i))
    canvas = Canvas(rng, self.size)
    _paint_backdrop(rng, canvas)
    _paint_buildings(rng, canvas)
    _paint_street_life(rng, canvas)
    label = np.array(canvas.label)
    image = _roughen(rng, np.array(canvas.image, np.float32), label)
    image = _expose(rng, _blur(_light(rng, image, label)))
    return {"image": image, "label": mark_borders(label), "id": f"scene-{self.seed}-{i:06d}"}


def mark_borders(label: np.ndarray) -> np.ndarray:
  """A border of one pixel between classes as void; thin structures keep all of their own pixels.

  Args:
    label: uint8 train ids `[height, width]`.

  Returns:
    The same with 255 on borders.
  """
  void = np.zeros(label.shape, bool)
  thin = _IS_THIN[label]
  for first, second in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
    differs = label[first] != label[second]
    void[first] |= differs & ~thin[first]
    void[second] |= differs & thin[first] & ~thin[second]
  return np.where(void, np.uint8(IGNORE), label)


def _paint_backdrop(rng: np.random.Generator, canvas: Canvas) -> None:
  """Sky that pales towards the horizon, clouds and the ground."""
  width, height, horizon = canvas.width, canvas.height, round(canvas.horizon)
  sky = paint.pick(rng, paint.SKIES)
  for band in range(12):
    top = band * horizon // 12
    canvas.polygon(_box(0, top, width, horizon), paint.shade(sky, 92 + 2 * band), Label.SKY)
  for _ in range(rng.integers(6)):
    centre = int(rng.integers(width)), int(rng.integers(horizon))
    radii = int(rng.integers(width // 12, width // 4)), int(rng.integers(height // 32, height // 12))
    canvas.ellipse(centre, radii, paint.shade(sky, int(rng.integers(92, 118))))
  grey = int(rng.integers(84, 142))
  asphalt = (grey, grey - 2, grey - 4)
  canvas.polygon(_box(0, horizon, width, height), paint.shade(asphalt, 124), Label.ROAD)
  _paint_lanes(canvas, asphalt)


def _box(left: int, top: int, right: int, bottom: int) -> list[paint.Point]:
  return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _paint_lanes(canvas: Canvas, asphalt: paint.Colour) -> None:
  """Asphalt between two kerbs, and a dashed line; what is left beside them is pavement."""
  _paint_strip(canvas, -4, 4, asphalt)
  for kerb in (-4, 4):
    _paint_strip(canvas, kerb - 0.12, kerb + 0.12, paint.shade(asphalt, 150))
  for dash in range(2, 24, 4):
    _paint_strip(canvas, -0.12, 0.12, paint.shade(asphalt, 185), dash, dash + 2)


def _paint_strip(
  canvas: Canvas, left: float, right: float, colour: paint.Colour, near: float = 1.5, far: float = 200
) -> None:
  """A strip of the ground along the street, part of what it lies on."""
  ends = ((left, near), (left, far), (right, far), (right, near))
  canvas.polygon([canvas.project(x, 0, z) for x, z in ends], colour)


def _paint_buildings(rng: np.random.Generator, canvas: Canvas) -> None:
  """A house across the end of the street and a row with gaps at either side, the farthest first."""
  paint.paint_wall(rng, canvas, (-30, 70), (30, 70), rng.uniform(3, 12), paint.pick(rng, paint.WALLS))
  for side in (-1, 1):
    far = 64.0
    while far > 12:
      near = max(far - rng.uniform(7, 16), 4)
      if rng.random() < 0.75:
        paint.paint_building(rng, canvas, side * rng.uniform(7.5, 10), near, far)
      far = near


def _paint_street_life(rng: np.random.Generator, canvas: Canvas) -> None:
  """All that stands on the pavements and the street, the farthest first."""
  # Distance, painter and its arguments.
  things = [*_poles_and_wires(rng, canvas), *_fences(rng, canvas)]
  for painter, most, (near, far), (inner, outer) in (
    (paint.paint_tree, 6, (9, 40), (6.2, 9)),
    (paint.paint_sign, 4, (7, 17), (4.3, 5)),
    (paint.paint_pedestrian, 6, (7, 17), (1, 6.5)),
  ):
    for _ in range(rng.integers(1, most + 1)):
      x, z = _side(rng) * rng.uniform(inner, outer), rng.uniform(near, far)
      things.append((z, painter, (rng, canvas, x, z)))
  for _, painter, arguments in sorted(things, key=lambda thing: -thing[0]):
    painter(*arguments)


def _side(rng: np.random.Generator) -> int:
  """Left, -1, or right, 1."""
  return 1 - 2 * int(rng.integers(2))


def _poles_and_wires(rng: np.random.Generator, canvas: Canvas) -> list[tuple]:
  """A row of masts with wires at one side, and wires across the street to masts at the other."""
  height, colour, kerb = rng.uniform(4.6, 6.2), paint.pick(rng, paint.METALS), 4.6 * _side(rng)
  nearest, spacing, sag = rng.uniform(6, 9), rng.uniform(7, 11), rng.uniform(0.2, 0.7)
  row = [nearest, nearest + spacing, nearest + 2 * spacing]
  things = []
  for z, before in zip(row, [2.5, *row], strict=False):
    things.append((z, paint.paint_pole, (canvas, kerb, z, height, colour)))
    things.append((before, paint.paint_wire, (canvas, (kerb, height, before), (kerb, height, z), sag)))
    if rng.random() < 0.5:
      things.append((z, paint.paint_pole, (canvas, -kerb, z, height, colour)))
      things.append((z, paint.paint_wire, (canvas, (kerb, height, z), (-kerb, height, z), sag)))
  return things


def _fences(rng: np.random.Generator, canvas: Canvas) -> list[tuple]:
  """One to three runs of panels along the street or across a pavement."""
  things = []
  for _ in range(rng.integers(1, 4)):
    side, colour = _side(rng), paint.pick(rng, paint.RAILS)
    x, z = side * rng.uniform(4.4, 7), rng.uniform(6, 12)
    step_x, step_z = (1.6 * side, 0) if rng.random() < 0.4 else (0, 2)
    for _ in range(rng.integers(2, 6)):
      things.append((z, paint.paint_fence, (canvas, (x, z), (x + step_x, z + step_z), colour)))
      x, z = x + step_x, z + step_z
  return things


def _roughen(rng: np.random.Generator, image: np.ndarray, label: np.ndarray) -> np.ndarray:
  """Adds each class's texture: noise of single pixels and of 3 x 3 patches, `[H, W, 3]`."""
  height, width = label.shape
  grain = rng.random((height, width), np.float32) - 0.5
  coarse = rng.random((height // 3 + 1, width // 3 + 1), np.float32) - 0.5
  patches = coarse.repeat(3, 0).repeat(3, 1)[:height, :width]
  return image + (2 * (_GRAIN[label] * grain + _PATCHES[label] * patches))[:, :, None]


def _light(rng: np.random.Generator, image: np.ndarray, label: np.ndarray) -> np.ndarray:
  """A shadow across the road, and light from one side, `[H, W, 3]`."""
  height, width = label.shape
  down = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
  across = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :]
  shaded = (label == Label.ROAD) & (down * rng.uniform(-1.5, 1.5) + across > rng.uniform(-0.6, 0.6))
  light = 1 + rng.uniform(-0.3, 0.3) * across + rng.uniform(-0.2, 0.2) * down
  light[shaded] *= rng.uniform(0.6, 0.9)
  return image * light[:, :, None]


def _blur(image: np.ndarray) -> np.ndarray:
  """A lens's softness: (1, 4, 1) / 6 along either axis, `[H, W, 3]`."""
  padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
  rows = padded[:-2] + 4 * padded[1:-1] + padded[2:]
  return (rows[:, :-2] + 4 * rows[:, 1:-1] + rows[:, 2:]) / 36


def _expose(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
  """Brightness, tint and the sensor's noise; uint8 `[H, W, 3]`."""
  tint = np.float32(rng.uniform(0.75, 1.25)) * rng.uniform(0.9, 1.1, 3).astype(np.float32)
  noise = (rng.random(image.shape, np.float32) - 0.5) * rng.uniform(12, 40)
  return np.clip(np.rint(image * tint + noise), 0, 255).astype(np.uint8)

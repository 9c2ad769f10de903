"""Generated street scenes with exact labels: a segmentation data set that needs no download.

Sky, road, buildings and trees fill the image; poles, wires, fences, signs and pedestrians are a few pixels
wide, so that pooling affects them. The colors of classes overlap: shape and texture distinguish them.
"""

from __future__ import annotations

import operator

import numpy as np

from train.data.classes import IGNORE, ClassTable, LabelClass
from train.data.datasets.scene_appearance import render
from train.data.datasets.scene_canvas import Canvas, Label
from train.data.datasets.scene_layout import paint_scene

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

MIN_SIZE = 32
"""Minimum height and width; in smaller images thin structures have no pixels."""

_IS_THIN = np.isin(np.arange(256), SCENES.thin)


class Scenes:
  """Random access to generated street scenes; example i depends only on the seed and i.

  Args:
    count: number of examples.
    seed: of the generator; different seeds give different splits.
    size: height and width of the examples in pixels.

  Raises:
    ValueError: a count below 1, a negative seed, or a size below 32 x 32.
  """

  def __init__(self, count: int, seed: int, size: tuple[int, int] = (96, 128)):
    if count < 1:
      raise ValueError(f"count: expected at least 1, got {count}")
    if seed < 0:
      raise ValueError(f"seed: expected 0 or more, got {seed}")
    if len(size) != 2 or min(size) < MIN_SIZE:
      raise ValueError(f"size: expected (height, width) of at least {MIN_SIZE} each, got {size}")
    self.count, self.seed, self.size = count, seed, (size[0], size[1])

  def __len__(self) -> int:
    return self.count

  def __getitem__(self, i: int) -> dict:
    """Generates example i.

    Returns:
      `image`, uint8 RGB `[height, width, 3]`; `label`, uint8 train ids `[height, width]` with 255 on the
      borders between classes; `id`, which is unique to the seed and i.

    Raises:
      IndexError: i is not in 0..count-1.
    """
    i = operator.index(i)
    if not 0 <= i < self.count:
      raise IndexError(f"index: expected 0..{self.count - 1}, got {i}")
    rng = np.random.default_rng((self.seed, i))
    canvas = Canvas(rng, self.size)
    paint_scene(rng, canvas)
    label = np.array(canvas.label)
    image = render(rng, np.array(canvas.image, np.float32), label)
    return {"image": image, "label": mark_borders(label), "id": f"scene-{self.seed}-{i:06d}"}


def mark_borders(label: np.ndarray) -> np.ndarray:
  """Marks a border of one pixel between classes as void; thin structures keep all their pixels.

  Args:
    label: uint8 train ids `[height, width]`.

  Returns:
    A copy with 255 on the borders.
  """
  void = np.zeros(label.shape, bool)
  thin = _IS_THIN[label]
  for first, second in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
    differs = label[first] != label[second]
    void[first] |= differs & ~thin[first]
    void[second] |= differs & thin[first] & ~thin[second]
  return np.where(void, np.uint8(IGNORE), label)

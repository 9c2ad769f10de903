"""The best and the worst predicted images of a data set, drawn while it is evaluated."""

from __future__ import annotations

import bisect
import math
import pathlib

import numpy as np
from PIL import Image

from ppool_jax import metrics
from train.data.classes import ClassTable
from train.visualization.colorize import colorize, hconcat


class BestWorstImages:
  """Keeps the `count` best and the `count` worst images in memory, and no others.

  Images are ranked by `image_miou`, which is not the mIoU of a data set.
  """

  def __init__(self, count: int, table: ClassTable):
    self._count, self._table = count, table
    self._ranked: dict[str, list[tuple[float, str, np.ndarray]]] = {"best": [], "worst": []}

  def add(self, example: dict, prediction: np.ndarray, score: float) -> None:
    """Draws and keeps the example if it is among the best or the worst so far.

    Args:
      example: id, image `[H, W, 3]` and label `[H, W]`.
      prediction: classes `[H, W]`.
      score: the image's rank; an image with score NaN (all pixels are ignored) is not kept.
    """
    if math.isnan(score):
      return
    for name, sign in (("best", -1), ("worst", 1)):
      ranked = self._ranked[name]
      key = (sign * score, str(example["id"]))
      if len(ranked) < self._count or (ranked and key < ranked[-1][:2]):
        bisect.insort(ranked, (*key, self._draw(example, prediction)), key=lambda entry: entry[:2])
        del ranked[self._count :]

  def write(self, folder: pathlib.Path) -> None:
    """Writes FOLDER/best-RANK-ID-PERCENT.png and worst-...: image, ground truth and prediction."""
    if not self._count:
      return
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("best-*.png"), *folder.glob("worst-*.png")):
      old.unlink()  # of an earlier evaluation
    for name, ranked in self._ranked.items():
      for rank, (score, image_id, picture) in enumerate(ranked, 1):
        file = f"{name}-{rank}-{image_id.replace('/', '-')}-{100 * abs(score):.1f}.png"
        Image.fromarray(picture).save(folder / file)
    print(f"wrote the best and the worst images to {folder}")

  def _draw(self, example: dict, prediction: np.ndarray) -> np.ndarray:
    panels = [example["image"], *(colorize(x, self._table) for x in (example["label"], prediction))]
    return hconcat(panels)


def image_miou(confusion: np.ndarray) -> float:
  """Mean IoU over the classes in one image's ground truth; NaN if all its pixels are ignored.

  A false positive of an absent class lowers the IoU of the classes that lose the pixels. The absent
  class's own IoU of 0 is not averaged in: one stray pixel would weigh as much as a whole class.

  Args:
    confusion: of the image, int64 `[K, K]` or `[K, K + 1]`, rows are the ground truth.
  """
  return metrics.mean_of_present(np.where(confusion.sum(1) > 0, metrics.iou(confusion), np.nan))

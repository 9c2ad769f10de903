"""The images of a set that are predicted best and worst, kept as pictures while it is evaluated."""

from __future__ import annotations

import bisect
import math
import pathlib

import numpy as np
from PIL import Image

from ppool_jax import metrics
from train.data.classes import ClassTable
from train.visualization.colorize import coloured, side_by_side


class Extremes:
  """The `count` best and the `count` worst images: no more than these are in memory.

  What ranks them, `image_score`, is no mIoU of a set.
  """

  def __init__(self, count: int, table: ClassTable):
    self._count, self._table = count, table
    self._kept: dict[str, list[tuple[float, str, np.ndarray]]] = {"best": [], "worst": []}

  def add(self, example: dict, prediction: np.ndarray, score: float) -> None:
    """Keeps a picture of the example, if it is among the extremes.

    Args:
      example: id, image `[H, W, 3]` and label `[H, W]`.
      prediction: classes `[H, W]`.
      score: NaN, of an image whose pixels are all ignored, is never kept.
    """
    if math.isnan(score):
      return
    for name, sign in (("best", -1), ("worst", 1)):
      kept = self._kept[name]
      key = (sign * score, str(example["id"]))
      if len(kept) < self._count or (kept and key < kept[-1][:2]):
        bisect.insort(kept, (*key, self._picture(example, prediction)), key=lambda entry: entry[:2])
        del kept[self._count :]

  def write(self, folder: pathlib.Path) -> None:
    """FOLDER/best-RANK-ID-PERCENT.png and worst-...: image, truth and prediction side by side."""
    if not self._count:
      return
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("best-*.png"), *folder.glob("worst-*.png")):
      old.unlink()  # of an evaluation before
    for name, kept in self._kept.items():
      for rank, (score, image_id, picture) in enumerate(kept, 1):
        file = f"{name}-{rank}-{image_id.replace('/', '-')}-{100 * abs(score):.1f}.png"
        Image.fromarray(picture).save(folder / file)
    print(f"the best and the worst images are in {folder}")

  def _picture(self, example: dict, prediction: np.ndarray) -> np.ndarray:
    panels = [example["image"], *(coloured(x, self._table) for x in (example["label"], prediction))]
    return side_by_side(panels)


def image_score(confusion: np.ndarray) -> float:
  """Mean IoU over the classes in an image's truth; NaN if its pixels are all ignored.

  Where a class is found that is not there, those that are lose; were its own IoU of 0 counted too, one
  stray pixel would weigh as much as a whole class.

  Args:
    confusion: of the image, int64 `[K, K]` or `[K, K + 1]`, rows the truth.
  """
  return metrics.mean_of_present(np.where(confusion.sum(1) > 0, metrics.iou(confusion), np.nan))

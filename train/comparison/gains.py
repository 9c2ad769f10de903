"""IoU gains by class between two evaluations of the same images."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ppool_jax import metrics
from train.data.classes import ClassTable
from train.utils.csv_files import write_csv


class ClassGain(NamedTuple):
  """A class with its pixels in the ground truth and its IoU in both runs, in per cent.

  Attributes:
    interval: ends of the gain's confidence interval, in points; None where there is none.
  """

  train_id: int
  name: str
  thin: bool
  pixels: int
  baseline: float
  other: float
  interval: tuple[float, float] | None = None

  @property
  def gain(self) -> float:
    """In points."""
    return self.other - self.baseline


def class_gains(
  baseline: np.ndarray, other: np.ndarray, table: ClassTable
) -> tuple[list[ClassGain], list[str]]:
  """The gains of the classes in the ground truth, largest first, and the names of the absent classes.

  Args:
    baseline, other: confusion matrices of the same images, int64 `[K, K]`, rows are the ground truth.

  Raises:
    ValueError: the matrices are of different labels.
  """
  pixels = baseline.sum(1)
  if baseline.shape != other.shape or (pixels != other.sum(1)).any():
    raise ValueError(
      "the two evaluations are of different labels: the numbers of pixels of their classes differ"
    )
  first, second = (100 * metrics.iou(confusion) for confusion in (baseline, other))
  rows = [
    ClassGain(row.train_id, row.name, row.thin, int(count), float(before), float(after))
    for row, count, before, after in zip(table.classes, pixels, first, second, strict=True)
  ]
  present = sorted((row for row in rows if row.pixels), key=lambda row: (-row.gain, row.train_id))
  return present, [row.name for row in rows if not row.pixels]


def mean_gain(present: Sequence[ClassGain]) -> float:
  """The mean over the classes in the ground truth, in points."""
  return float(np.mean([row.gain for row in present]))


def write_gains(present: list[ClassGain], absent: list[str], table: ClassTable, path: pathlib.Path) -> None:
  """Writes a CSV row per class, largest gain first; then the absent classes (empty cells) and the mean."""
  rows: list[list] = [
    [row.train_id, row.name, int(row.thin), row.pixels, row.baseline, row.other, row.gain] for row in present
  ]
  rows += [
    [row.train_id, row.name, int(row.thin), 0, None, None, None]
    for row in table.classes
    if row.name in absent
  ]
  means = np.mean([(row.baseline, row.other) for row in present], axis=0)
  rows.append([None, "mean", None, None, *means, mean_gain(present)])
  write_csv(path, ["train_id", "class", "thin", "pixels", "baseline", "other", "gain"], rows)

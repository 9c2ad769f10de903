"""What each class gains between two runs."""

from __future__ import annotations

import csv
import pathlib
from typing import NamedTuple

import numpy as np

from ppool_jax import metrics
from train.data.classes import ClassTable


class Gain(NamedTuple):
  """A class: its pixels in the truth, its IoU in both runs in per cent, and the gain in points.

  Attributes:
    interval: ends of the gain's confidence interval, points; None where there is none.
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
    return self.other - self.baseline


def gains(baseline: np.ndarray, other: np.ndarray, table: ClassTable) -> tuple[list[Gain], list[str]]:
  """The classes that occur in the truth, largest gain first, and the names of those that do not.

  Args:
    baseline, other: confusion matrices of one set, int64 `[K, K]`, rows the truth.

  Raises:
    ValueError: they are of different labels.
  """
  pixels = baseline.sum(1)
  if baseline.shape != other.shape or (pixels != other.sum(1)).any():
    raise ValueError(
      "the two evaluations are of different labels: their classes have other numbers of pixels"
    )
  first, second = (100 * metrics.iou(confusion) for confusion in (baseline, other))
  rows = [
    Gain(row.train_id, row.name, row.thin, int(count), float(before), float(after))
    for row, count, before, after in zip(table.classes, pixels, first, second, strict=True)
  ]
  present = sorted((row for row in rows if row.pixels), key=lambda row: (-row.gain, row.train_id))
  return present, [row.name for row in rows if not row.pixels]


def mean_gain(present: list[Gain]) -> float:
  """Mean over the classes that occur in the truth, in points."""
  return float(np.mean([row.gain for row in present]))


def write_gains(present: list[Gain], absent: list[str], table: ClassTable, path: pathlib.Path) -> None:
  """A row a class, the largest gain first, then with empty cells the absent ones, then the mean."""
  with path.open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["train_id", "class", "thin", "pixels", "baseline", "other", "gain"])
    for row in present:
      numbers = (row.pixels, row.baseline, row.other, row.gain)
      writer.writerow([row.train_id, row.name, int(row.thin), *numbers])
    for row in table.classes:
      if row.name in absent:
        writer.writerow([row.train_id, row.name, int(row.thin), 0, None, None, None])
    means = np.mean([(row.baseline, row.other) for row in present], axis=0)
    writer.writerow([None, "mean", None, None, *means, mean_gain(present)])

"""The counts of a set and what is read from them."""

from __future__ import annotations

import math

import numpy as np

from ppool_jax import metrics
from train.data.classes import IGNORE, ClassTable

TRIMAP = (1, 2, 4, 8, 16, 32)
"""Pixels from a label's edge: widths of the trimaps in an evaluation."""


class Scores:
  """Counts of a set, image by image. All are sums: memory does not grow with the number of images.

  Args:
    table: the classes.
    boundary_ratio: of `metrics.boundary_counts`; 0: no Boundary IoU.
    trimap: widths in pixels for `metrics.trimap_confusion`.
    lenient: whether a predicted value that is no class is a miss, not an error.

  Attributes:
    confusion: int64 `[K, K]`, with `lenient` `[K, K + 1]`, rows the truth.
  """

  def __init__(self, table: ClassTable, boundary_ratio: float = 0.0, trimap=(), lenient: bool = False):
    classes = table.num_classes
    shape = (classes, classes + lenient)
    self._table, self._ratio, self._lenient = table, boundary_ratio, lenient
    self.confusion = np.zeros(shape, np.int64)
    self._boundary = np.zeros((classes, 2), np.int64)
    self._trimap = {width: np.zeros(shape, np.int64) for width in trimap}

  def add(self, label: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Counts one image, `[H, W]` both, and returns its own confusion matrix.

    Raises:
      ValueError: sizes that differ, or a value that is no class; see `metrics.confusion`.
    """
    known = (self._table.num_classes, IGNORE)
    counts = metrics.confusion(label, prediction, *known, lenient=self._lenient)
    self.confusion += counts
    if self._ratio:
      self._boundary += metrics.boundary_counts(label, prediction, *known, self._ratio, lenient=self._lenient)
    for width, total in self._trimap.items():
      total += metrics.trimap_confusion(label, prediction, *known, width, lenient=self._lenient)
    return counts

  def checked(self) -> np.ndarray:
    """The confusion matrix.

    Raises:
      ValueError: every pixel of the set is ignored, so that there is nothing to tell.
    """
    if not self.confusion.any():
      raise ValueError("evaluation: every pixel of the set is ignored; is the right table of classes in use?")
    return self.confusion

  def results(self) -> dict:
    """`summarise`, and where they were counted boundary_iou, per_class_boundary_iou and trimap_miou.

    With `lenient` also no_class, the share of the counted pixels where no class is predicted.

    Raises:
      ValueError: as `checked`.
    """
    results = summarise(self.checked(), self._table)
    if self._lenient:
      results["no_class"] = float(self.confusion[:, -1].sum() / self.confusion.sum())
    if self._ratio:
      iou = metrics.iou_of_counts(self._boundary)
      results["boundary_ratio"] = self._ratio
      results["boundary_iou"] = _number(metrics.mean_of_present(iou))
      results["per_class_boundary_iou"] = _named(iou, self._table)
    if self._trimap:
      widths = {str(w): _number(metrics.mean_iou(counts)) for w, counts in self._trimap.items()}
      results["trimap_miou"] = widths
    return results


def summarise(confusion: np.ndarray, table: ClassTable) -> dict:
  """The numbers of a set; None stands for what no class or pixel gives.

  Args:
    confusion: int64 `[K, K]` or `[K, K + 1]`, rows the truth.

  Returns:
    miou (over classes that occur), miou_official (over all, absent ones 0), pixel_accuracy,
    mean_accuracy, frequency_weighted_iou, thin_iou; by class name per_class_iou, per_class_accuracy and
    per_class_pixels, those of the truth.
  """
  iou = metrics.iou(confusion)
  return {
    "miou": metrics.mean_iou(confusion),
    "miou_official": metrics.official_mean_iou(confusion),
    "pixel_accuracy": metrics.pixel_accuracy(confusion),
    "mean_accuracy": metrics.mean_accuracy(confusion),
    "frequency_weighted_iou": metrics.frequency_weighted_iou(confusion),
    "thin_iou": _number(metrics.mean_of_present(iou[list(table.thin)])),
    "per_class_iou": _named(iou, table),
    "per_class_accuracy": _named(metrics.accuracy(confusion), table),
    "per_class_pixels": dict(zip(table.names, confusion.sum(1).tolist(), strict=True)),
  }


def _named(values: np.ndarray, table: ClassTable) -> dict[str, float | None]:
  return {name: _number(value) for name, value in zip(table.names, values, strict=True)}


def _number(value: float) -> float | None:
  return None if math.isnan(value) else float(value)

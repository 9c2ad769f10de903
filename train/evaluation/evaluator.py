"""SegmentationEvaluator accumulates confusion counts image by image and computes the metrics from them."""

from __future__ import annotations

import math

import numpy as np

from ppool_jax import metrics
from train.data.classes import IGNORE, ClassTable

TRIMAP_WIDTHS = (1, 2, 4, 8, 16, 32)
"""Widths of the trimaps that an evaluation counts, in pixels from a label's edge."""


class SegmentationEvaluator:
  """Accumulates the counts of a data set. All are sums: memory does not grow with the number of images.

  Args:
    table: the classes.
    boundary_ratio: of `metrics.boundary_counts`; 0: no Boundary IoU.
    trimap_widths: in pixels, for `metrics.trimap_confusion`.
    lenient: whether a predicted value that is no class counts as a miss instead of raising an error.

  Attributes:
    confusion: int64 `[K, K]`, with `lenient` `[K, K + 1]`, rows are the ground truth.
  """

  def __init__(self, table: ClassTable, boundary_ratio: float = 0.0, trimap_widths=(), lenient: bool = False):
    classes = table.num_classes
    shape = (classes, classes + lenient)
    self._table, self._ratio, self._lenient = table, boundary_ratio, lenient
    self.confusion = np.zeros(shape, np.int64)
    self._boundary = np.zeros((classes, 2), np.int64)
    self._trimaps = {width: np.zeros(shape, np.int64) for width in trimap_widths}

  def update(self, label: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Adds one image, `[H, W]` both, and returns its own confusion matrix.

    Raises:
      ValueError: the sizes differ, or a value is no class; see `metrics.confusion`.
    """
    classes = (self._table.num_classes, IGNORE)
    counts = metrics.confusion(label, prediction, *classes, lenient=self._lenient)
    self.confusion += counts
    if self._ratio:
      self._boundary += metrics.boundary_counts(
        label, prediction, *classes, self._ratio, lenient=self._lenient
      )
    for width, total in self._trimaps.items():
      total += metrics.trimap_confusion(label, prediction, *classes, width, lenient=self._lenient)
    return counts

  def compute(self) -> dict:
    """Computes the metrics: `summarize_confusion`, and the boundary metrics that were counted.

    Those are boundary_iou, per_class_boundary_iou and trimap_miou. With `lenient` there is also
    no_class, the share of the counted pixels that are predicted as no class.

    Raises:
      ValueError: as `check_confusion`.
    """
    check_confusion(self.confusion)
    results = summarize_confusion(self.confusion, self._table)
    if self._lenient:
      results["no_class"] = float(self.confusion[:, -1].sum() / self.confusion.sum())
    if self._ratio:
      iou = metrics.iou_of_counts(self._boundary)
      results["boundary_ratio"] = self._ratio
      results["boundary_iou"] = _nan_to_none(metrics.mean_of_present(iou))
      results["per_class_boundary_iou"] = _by_class_name(iou, self._table)
    if self._trimaps:
      widths = {str(w): _nan_to_none(metrics.mean_iou(counts)) for w, counts in self._trimaps.items()}
      results["trimap_miou"] = widths
    return results


def check_confusion(confusion: np.ndarray) -> None:
  """Refuses a confusion matrix without counts.

  Raises:
    ValueError: every pixel of the data set is ignored, so no metric is defined.
  """
  if not confusion.any():
    raise ValueError("evaluation: every pixel of the data set is ignored; is the class table the right one?")


def summarize_confusion(confusion: np.ndarray, table: ClassTable) -> dict:
  """Computes all metrics of a confusion matrix; undefined ones are None.

  Args:
    confusion: int64 `[K, K]` or `[K, K + 1]`, rows are the ground truth.

  Returns:
    miou (over the classes that occur), miou_official (over all classes, absent ones count 0),
    pixel_accuracy, mean_accuracy, frequency_weighted_iou, thin_iou; by class name per_class_iou,
    per_class_accuracy and per_class_pixels (of the ground truth).
  """
  iou = metrics.iou(confusion)
  return {
    "miou": metrics.mean_iou(confusion),
    "miou_official": metrics.official_mean_iou(confusion),
    "pixel_accuracy": metrics.pixel_accuracy(confusion),
    "mean_accuracy": metrics.mean_accuracy(confusion),
    "frequency_weighted_iou": metrics.frequency_weighted_iou(confusion),
    "thin_iou": _nan_to_none(metrics.mean_of_present(iou[list(table.thin)])),
    "per_class_iou": _by_class_name(iou, table),
    "per_class_accuracy": _by_class_name(metrics.accuracy(confusion), table),
    "per_class_pixels": dict(zip(table.names, confusion.sum(1).tolist(), strict=True)),
  }


def _by_class_name(values: np.ndarray, table: ClassTable) -> dict[str, float | None]:
  return {name: _nan_to_none(value) for name, value in zip(table.names, values, strict=True)}


def _nan_to_none(value: float) -> float | None:
  return None if math.isnan(value) else float(value)

"""Segmentation metrics from one confusion matrix of the whole set.

A mean of per-image or per-batch IoU is another number, and the wrong one: published mIoU is computed
from counts over the set. Counts are int64: a set has more pixels than int32 or float32 can count.
"""

from __future__ import annotations

import numpy as np


def confusion(labels, predictions, num_classes: int, ignore: int = 255) -> np.ndarray:
  """Counts of (true class, predicted class).

  Args:
    labels: integers, any shape; 0..K-1 or `ignore`.
    predictions: integers of the same shape; 0..K-1.
    num_classes: K.
    ignore: the label of pixels that count nowhere, whatever is predicted there within 0..K-1.

  Returns:
    int64 `[K, K]`, rows the truth.

  Raises:
    ValueError: shapes that differ, or a label or prediction out of range; the value is named.
    TypeError: values that are not integers.
  """
  labels, predictions = np.asarray(labels), np.asarray(predictions)
  if labels.shape != predictions.shape:
    raise ValueError(f"predictions: expected the labels' shape {labels.shape}, got {predictions.shape}")
  valid = labels != ignore
  _check_range("labels", labels[valid], num_classes)
  _check_range("predictions", predictions, num_classes)
  pairs = labels[valid].astype(np.int64) * num_classes + predictions[valid].astype(np.int64)
  return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes).astype(np.int64)


def iou(confusion: np.ndarray) -> np.ndarray:
  """Intersection over union of every class, float64 `[K]`; NaN for one in neither truth nor prediction."""
  hits = np.diagonal(confusion)
  return _ratio(hits, confusion.sum(0) + confusion.sum(1) - hits)


def mean_iou(confusion: np.ndarray) -> float:
  """Mean IoU over the classes that occur; NaN if none does."""
  return _mean(iou(confusion))


def accuracy(confusion: np.ndarray) -> np.ndarray:
  """Share of each class's pixels that are found (recall), float64 `[K]`; NaN for one not in the truth."""
  return _ratio(np.diagonal(confusion), confusion.sum(1))


def mean_accuracy(confusion: np.ndarray) -> float:
  """Mean of `accuracy` over the classes in the truth."""
  return _mean(accuracy(confusion))


def pixel_accuracy(confusion: np.ndarray) -> float:
  """Share of all counted pixels that are right; NaN if none is counted."""
  return float(_ratio(np.trace(confusion), confusion.sum()))


def _ratio(numerator, denominator) -> np.ndarray:
  numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
  return np.where(denominator > 0, numerator / np.maximum(denominator, 1), np.nan)


def _mean(values: np.ndarray) -> float:
  present = values[~np.isnan(values)]
  return float(present.mean()) if present.size else float("nan")


def _check_range(name: str, values: np.ndarray, num_classes: int) -> None:
  if not np.issubdtype(values.dtype, np.integer):
    raise TypeError(f"{name}: expected integers, got {values.dtype}")
  if values.size and (values.min() < 0 or values.max() >= num_classes):
    wrong = values.min() if values.min() < 0 else values.max()
    raise ValueError(f"{name}: expected 0..{num_classes - 1}, got {wrong}")

"""The confusion matrix, and the accuracies and IoUs that are computed from it."""

from __future__ import annotations

import numbers

import numpy as np
from numpy.typing import ArrayLike


def confusion(
  labels: ArrayLike, predictions: ArrayLike, num_classes: int, ignore: int = 255, *, lenient: bool = False
) -> np.ndarray:
  """Counts pixels by (true class, predicted class).

  Args:
    labels: integers, any shape; 0..K-1 or `ignore`.
    predictions: integers of the same shape; 0..K-1, or with `lenient` any.
    num_classes: K.
    ignore: the label of pixels that are not counted, whatever is predicted there.
    lenient: whether a predicted value outside 0..K-1 counts as "no class", an error of the prediction,
      instead of being refused; for predictions of other programs. SceneParsing's utils_eval.py does the same.

  Returns:
    int64 `[K, K]`, whose rows are true classes; with `lenient` `[K, K + 1]`, whose last column is "no class".
    All metrics take either. The matrix of a set is the sum of its images' matrices.

  Raises:
    ValueError: different shapes, or a label or prediction out of range, which the message names.
    TypeError: values that are not integers.
  """
  truth, found = as_codes(labels, predictions, num_classes, ignore, lenient)
  return count_codes(truth, found, num_classes, lenient)


def iou(confusion: np.ndarray) -> np.ndarray:
  """Intersection over union of every class, float64 `[K]`; NaN for a class that does not occur."""
  hits, truth, found = _sums(confusion)
  return _ratio(hits, truth + found - hits)


def mean_iou(confusion: np.ndarray) -> float:
  """Mean IoU over the classes that occur in truth or prediction; NaN if none does."""
  return mean_of_present(iou(confusion))


def official_mean_iou(confusion: np.ndarray) -> float:
  """Mean IoU over all K classes; a class in neither truth nor prediction has 0.

  The definition of ADE20K's benchmark: SceneParsing's demoEvaluation.m divides by eps + union and averages
  over 150 classes. It is at most `mean_iou`, and smaller where a class does not occur.
  """
  return float(np.nan_to_num(iou(confusion)).mean())


def frequency_weighted_iou(confusion: np.ndarray) -> float:
  """Mean IoU weighted by each class's share of true pixels (Long et al., CVPR 2015); NaN without pixels."""
  _, truth, _ = _sums(confusion)
  # A class without true pixels has weight 0, but its IoU may be NaN.
  return float(_ratio((truth * np.nan_to_num(iou(confusion))).sum(), truth.sum()))


def accuracy(confusion: np.ndarray) -> np.ndarray:
  """Recall of every class, float64 `[K]`; NaN for a class without true pixels."""
  hits, truth, _ = _sums(confusion)
  return _ratio(hits, truth)


def mean_accuracy(confusion: np.ndarray) -> float:
  """Mean of `accuracy` over the classes with true pixels; NaN if there are none."""
  return mean_of_present(accuracy(confusion))


def pixel_accuracy(confusion: np.ndarray) -> float:
  """Share of correct pixels among the counted pixels; NaN without any."""
  hits, truth, _ = _sums(confusion)
  return float(_ratio(hits.sum(), truth.sum()))


def iou_of_counts(counts: np.ndarray) -> np.ndarray:
  """IoU, float64 `[K]`, from sums of (intersection, union) `[K, 2]`; NaN where the union is empty."""
  return _ratio(*np.asarray(counts).T)


def mean_of_present(values: np.ndarray) -> float:
  """Mean of the values that are not NaN; NaN, without a warning, if all are NaN."""
  present = values[~np.isnan(values)]
  return float(present.mean()) if present.size else float("nan")


def as_codes(
  labels: ArrayLike, predictions: ArrayLike, num_classes: int, ignore: int, lenient: bool
) -> tuple[np.ndarray, np.ndarray]:
  """Truth and prediction in one unsigned dtype, in which the code K means no class.

  Ignored pixels have the code K in both, and with `lenient` so have predictions outside 0..K-1.
  """
  check_positive("num_classes", num_classes)
  labels, predictions = np.asarray(labels), np.asarray(predictions)
  if labels.shape != predictions.shape:
    raise ValueError(f"predictions: expected the labels' shape {labels.shape}, got {predictions.shape}")
  ignored, unknown = labels == ignore, _outside("predictions", predictions, num_classes)
  _refuse("labels", labels[~ignored & _outside("labels", labels, num_classes)], num_classes)
  if not lenient:
    _refuse("predictions", predictions[unknown], num_classes)
  dtype = np.min_scalar_type(num_classes)
  truth, found = labels.astype(dtype), predictions.astype(dtype)
  truth[ignored], found[ignored | unknown] = num_classes, num_classes
  return truth, found


def count_codes(truth: np.ndarray, found: np.ndarray, num_classes: int, lenient: bool) -> np.ndarray:
  """The confusion matrix of the codes that `as_codes` returns."""
  pairs = truth.astype(np.int64) * (num_classes + 1) + found
  counts = np.bincount(pairs.ravel(), minlength=(num_classes + 1) ** 2).astype(np.int64)
  columns = num_classes + 1 if lenient else num_classes
  return counts.reshape(num_classes + 1, num_classes + 1)[:num_classes, :columns].copy()


def check_positive(name: str, value: object) -> None:
  """Raises TypeError if `value` is not an integer, ValueError if it is less than 1."""
  if not isinstance(value, numbers.Integral):
    raise TypeError(f"{name}: expected an integer, got {value!r}")
  if value < 1:
    raise ValueError(f"{name}: expected >= 1, got {value}")


def _outside(name: str, values: np.ndarray, num_classes: int) -> np.ndarray:
  """A mask of the values outside 0..K-1."""
  if not np.issubdtype(values.dtype, np.integer):
    raise TypeError(f"{name}: expected integers, got {values.dtype}")
  return (values < 0) | (values >= num_classes)


def _refuse(name: str, values: np.ndarray, num_classes: int) -> None:
  if values.size:
    raise ValueError(f"{name}: expected 0..{num_classes - 1}, got {values[0]}")


def _sums(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Numbers of correct, true and predicted pixels of each class; "no class" is left out."""
  shape = np.shape(confusion)
  if len(shape) != 2 or shape[1] - shape[0] not in (0, 1):
    raise ValueError(f"confusion: expected counts [K, K] or [K, K + 1], got shape {shape}")
  return np.diagonal(confusion), np.sum(confusion, 1), np.sum(confusion, 0)[: shape[0]]


def _ratio(numerator: ArrayLike, denominator: ArrayLike) -> np.ndarray:
  """The quotient in float64; NaN where the denominator is 0."""
  numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
  return np.where(denominator > 0, numerator / np.maximum(denominator, 1), np.nan)

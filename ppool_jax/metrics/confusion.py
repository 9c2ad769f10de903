"""The confusion matrix and what is read from it: accuracies and the family of IoU."""

from __future__ import annotations

import numbers

import numpy as np


def confusion(
  labels, predictions, num_classes: int, ignore: int = 255, *, lenient: bool = False
) -> np.ndarray:
  """Counts of (true class, predicted class).

  Args:
    labels: integers, any shape; 0..K-1 or `ignore`.
    predictions: integers of the same shape; 0..K-1, or with `lenient` any.
    num_classes: K.
    ignore: the label of pixels that count nowhere, whatever is predicted there.
    lenient: for predictions made elsewhere: a value outside 0..K-1 is "no class", a miss of the true
      class, instead of an error. SceneParsing's utils_eval.py counts so too.

  Returns:
    int64 `[K, K]`, rows the truth; with `lenient` `[K, K + 1]`, whose last column is "no class". The
    other functions here take either. The matrix of a set is the sum of its images' matrices.

  Raises:
    ValueError: shapes that differ, or a label or prediction out of range; the value is named.
    TypeError: values that are not integers.
  """
  truth, found = as_codes(labels, predictions, num_classes, ignore, lenient)
  return count_codes(truth, found, num_classes, lenient)


def iou(confusion: np.ndarray) -> np.ndarray:
  """Intersection over union of every class, float64 `[K]`; NaN for one in neither truth nor prediction."""
  hits, truth, found = _sums(confusion)
  return _ratio(hits, truth + found - hits)


def mean_iou(confusion: np.ndarray) -> float:
  """Mean IoU over the classes that occur; NaN if none does."""
  return mean_of_present(iou(confusion))


def official_mean_iou(confusion: np.ndarray) -> float:
  """Mean IoU over all K classes, where one in neither truth nor prediction counts 0.

  The definition of ADE20K's benchmark: SceneParsing's demoEvaluation.m divides by eps + union and takes
  the mean over 150 classes. It is at most `mean_iou`, and differs only where a class does not occur.
  """
  return float(np.nan_to_num(iou(confusion)).mean())


def frequency_weighted_iou(confusion: np.ndarray) -> float:
  """IoU weighted by each class's share of the true pixels (Long et al., CVPR 2015); NaN if none counts."""
  _, truth, _ = _sums(confusion)
  # A class without true pixels has weight 0, but its IoU may be NaN.
  return float(_ratio((truth * np.nan_to_num(iou(confusion))).sum(), truth.sum()))


def accuracy(confusion: np.ndarray) -> np.ndarray:
  """Share of each class's pixels that are found (recall), float64 `[K]`; NaN for one not in the truth."""
  hits, truth, _ = _sums(confusion)
  return _ratio(hits, truth)


def mean_accuracy(confusion: np.ndarray) -> float:
  """Mean of `accuracy` over the classes in the truth; NaN if there is none."""
  return mean_of_present(accuracy(confusion))


def pixel_accuracy(confusion: np.ndarray) -> float:
  """Share of all counted pixels that are right; NaN if none is counted."""
  hits, truth, _ = _sums(confusion)
  return float(_ratio(hits.sum(), truth.sum()))


def iou_of_counts(counts: np.ndarray) -> np.ndarray:
  """float64 `[K]` from `[K, 2]` sums of (intersection, union); NaN where the union is empty."""
  return _ratio(*np.asarray(counts).T)


def mean_of_present(values: np.ndarray) -> float:
  """Mean of the values that are not NaN; NaN, without a warning, if all are."""
  present = values[~np.isnan(values)]
  return float(present.mean()) if present.size else float("nan")


def as_codes(labels, predictions, num_classes: int, ignore: int, lenient: bool):
  """Truth and prediction in one unsigned dtype, where K is the code of pixels that are of no class.

  In the truth K is what is ignored, in the prediction that and, if `lenient`, what is outside 0..K-1.
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
  """The matrix of `confusion` from the codes of `as_codes`."""
  pairs = truth.astype(np.int64) * (num_classes + 1) + found
  counts = np.bincount(pairs.ravel(), minlength=(num_classes + 1) ** 2).astype(np.int64)
  columns = num_classes + 1 if lenient else num_classes
  return counts.reshape(num_classes + 1, num_classes + 1)[:num_classes, :columns].copy()


def check_positive(name: str, value) -> None:
  """Refuses what is not an integer >= 1."""
  if not isinstance(value, numbers.Integral):
    raise TypeError(f"{name}: expected an integer, got {value!r}")
  if value < 1:
    raise ValueError(f"{name}: expected >= 1, got {value}")


def _outside(name: str, values: np.ndarray, num_classes: int) -> np.ndarray:
  if not np.issubdtype(values.dtype, np.integer):
    raise TypeError(f"{name}: expected integers, got {values.dtype}")
  return (values < 0) | (values >= num_classes)


def _refuse(name: str, values: np.ndarray, num_classes: int) -> None:
  if values.size:
    raise ValueError(f"{name}: expected 0..{num_classes - 1}, got {values[0]}")


def _sums(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Pixels of each class that are right, true and predicted; "no class" is not predicted as any."""
  shape = np.shape(confusion)
  if len(shape) != 2 or shape[1] - shape[0] not in (0, 1):
    raise ValueError(f"confusion: expected counts [K, K] or [K, K + 1], got shape {shape}")
  return np.diagonal(confusion), np.sum(confusion, 1), np.sum(confusion, 0)[: shape[0]]


def _ratio(numerator, denominator) -> np.ndarray:
  numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
  return np.where(denominator > 0, numerator / np.maximum(denominator, 1), np.nan)

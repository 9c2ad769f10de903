"""Metrics near boundaries: Boundary IoU, and the confusion matrix near label changes (trimap).

Distances are chessboard distances, as in the published evaluations of both. A pixel is within d of a pixel
of another class if and only if the smallest and largest label in the box of 2d + 1 pixels around it differ.
The cost depends neither on d nor on the number of classes.
"""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from ppool_jax.metrics.confusion import as_codes, check_positive, count_codes, iou_of_counts


def boundary_iou(
  labels: Iterable[ArrayLike],
  predictions: Iterable[ArrayLike],
  num_classes: int,
  ignore: int = 255,
  dilation_ratio: float = 0.02,
  *,
  lenient: bool = False,
) -> np.ndarray:
  """Boundary IoU of every class over a set (Cheng et al., CVPR 2021), float64 `[K]`.

  Intersections and unions are summed over the set before the division; NaN where both bands are empty.

  Args:
    labels: a batch `[N, H, W]`, one image `[H, W]`, or an iterable of images, which may differ in size.
    predictions: the same number of images, of the same sizes.
    num_classes, ignore, dilation_ratio, lenient: see `boundary_counts`.

  Raises:
    ValueError, TypeError: see `boundary_counts`; more or fewer predictions than labels.
  """
  check_positive("num_classes", num_classes)
  total = np.zeros((num_classes, 2), np.int64)
  for label, prediction in itertools.zip_longest(_images(labels), _images(predictions)):
    if label is None or prediction is None:
      raise ValueError(f"predictions: expected one per label, got {'more' if label is None else 'fewer'}")
    total += boundary_counts(label, prediction, num_classes, ignore, dilation_ratio, lenient=lenient)
  return iou_of_counts(total)


def boundary_counts(
  labels: ArrayLike,
  predictions: ArrayLike,
  num_classes: int,
  ignore: int = 255,
  dilation_ratio: float = 0.02,
  *,
  lenient: bool = False,
) -> np.ndarray:
  """Sizes of the intersection and of the union of the true and the predicted band of each class.

  The band of a class are its pixels within d = max(1, round(dilation_ratio * image diagonal)) pixels of a
  pixel of another class. The border of the image is a contour, as in the authors' boundary-iou-api.

  Ignored pixels belong to no band, and predictions there are ignored as well, so that the edge of an ignored
  region is a contour of both. VOC draws void around every object: if its edge were no contour, the truth
  would have none; if it were a contour of the truth only, a perfect prediction would not score 1.

  Args:
    labels, predictions: integers `[H, W]`, of one image.
    num_classes, ignore: see `confusion`.
    dilation_ratio: > 0; 0.02 is the paper's.
    lenient: whether a predicted value outside 0..K-1 counts as no class instead of being an error.

  Returns:
    int64 `[K, 2]`: intersection, union. `iou_of_counts` divides the sums over a set.

  Raises:
    ValueError, TypeError: see `confusion`; labels that are not one image; a ratio that is not > 0.
  """
  codes = as_codes(labels, predictions, num_classes, ignore, lenient)
  distance = _distance(codes[0].shape, dilation_ratio)
  # Code K, no class, stands outside the image, and replaces the pixels that are in no band.
  truth, found = (
    np.where(near_another_label(x, distance, mode="constant", cval=num_classes), x, num_classes)
    for x in codes
  )
  hits, true, predicted = (
    np.bincount(x.ravel(), minlength=num_classes + 1)[:num_classes].astype(np.int64)
    for x in (truth[truth == found], truth, found)
  )
  return np.stack([hits, true + predicted - hits], axis=1)


def trimap_confusion(
  labels: ArrayLike,
  predictions: ArrayLike,
  num_classes: int,
  ignore: int,
  width: int,
  *,
  lenient: bool = False,
) -> np.ndarray:
  """The confusion matrix of the pixels within `width` pixels of a label change in the truth.

  The edge of void (`ignore`) is a label change; the border of the image is not. Where void surrounds every
  object, as in VOC, this is the band of Krähenbühl and Koltun (NIPS 2011) and DeepLab (ICLR 2015), whose
  evaluation dilates void by a square of 2 width + 1 pixels. For several widths:

      total = dict.fromkeys((1, 2, 4, 8, 16), 0)
      for label, prediction in images:
        for width in total:
          total[width] += trimap_confusion(label, prediction, 21, 255, width)
      curve = {width: mean_iou(counts) for width, counts in total.items()}

  Args:
    labels: integers `[H, W]` or `[N, H, W]`; 0..K-1 or `ignore`.
    predictions: integers of the same shape; 0..K-1.
    num_classes, ignore, lenient: see `confusion`.
    width: chessboard distance in pixels, >= 1; at 1 only pixels that touch another label count.

  Returns:
    int64 `[K, K]`, whose rows are true classes; with `lenient` `[K, K + 1]`.

  Raises:
    ValueError, TypeError: see `confusion`; labels that are not images; a width that is not an integer >= 1.
  """
  check_positive("width", width)
  truth, found = as_codes(labels, predictions, num_classes, ignore, lenient)
  if truth.ndim not in (2, 3):
    raise ValueError(f"labels: expected [H, W] or [N, H, W], got shape {truth.shape}")
  near = near_another_label(truth, width, mode="nearest")
  return count_codes(np.where(near, truth, num_classes), found, num_classes, lenient)


def near_another_label(codes: np.ndarray, distance: int, **border: Any) -> np.ndarray:
  """A mask of the pixels of `[..., H, W]` within chessboard `distance` of a pixel with another code.

  Args:
    border: arguments of SciPy's filters that determine the codes outside the image.
  """
  # A distance beyond the longer side changes nothing, but enlarges the filters' buffers.
  size = 2 * min(distance, max(codes.shape[-2:])) + 1
  filters = (ndimage.minimum_filter, ndimage.maximum_filter)
  low, high = (filter_(codes, size, axes=(-2, -1), **border) for filter_ in filters)
  return low != high


def _distance(shape: tuple[int, ...], ratio: float) -> int:
  """The width of the band in pixels."""
  if len(shape) != 2:
    raise ValueError(f"labels: expected one image [H, W], got shape {shape}")
  if not isinstance(ratio, numbers.Real):
    raise TypeError(f"dilation_ratio: expected a number, got {ratio!r}")
  if not 0 < ratio < math.inf:
    raise ValueError(f"dilation_ratio: expected > 0 and finite, got {ratio}")
  return max(1, round(ratio * math.sqrt(sum(side**2 for side in shape))))


def _images(images: Any) -> Iterable[ArrayLike]:
  """The images, also of an array `[H, W]`, which is one image."""
  return images[None] if getattr(images, "ndim", 3) == 2 else images

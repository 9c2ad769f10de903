"""Segmentation metrics: the confusion matrix and what is read from it, and detail near boundaries.

Every one comes from counts summed over the whole set. A mean of per-image or per-batch IoU is another
number, and the wrong one: published mIoU is computed from counts over the set. Counts are int64: a set
has more pixels than int32 or float32 can count.
"""

from ppool_jax.metrics.boundary import boundary_counts, boundary_iou, trimap_confusion
from ppool_jax.metrics.confusion import (
  accuracy,
  confusion,
  frequency_weighted_iou,
  iou,
  iou_of_counts,
  mean_accuracy,
  mean_iou,
  mean_of_present,
  official_mean_iou,
  pixel_accuracy,
)

__all__ = [
  "accuracy",
  "boundary_counts",
  "boundary_iou",
  "confusion",
  "frequency_weighted_iou",
  "iou",
  "iou_of_counts",
  "mean_accuracy",
  "mean_iou",
  "mean_of_present",
  "official_mean_iou",
  "pixel_accuracy",
  "trimap_confusion",
]

"""Segmentation metrics, of a confusion matrix and near boundaries; the library itself imports them nowhere.

Every metric is computed from counts that are summed over the whole data set, as published mIoU is; the mean
of per-image or per-batch IoU is a different number. Counts are int64, because a data set has more pixels than
int32 or float32 can count.
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

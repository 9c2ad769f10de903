"""SegmentationEvaluator and the metrics of a confusion matrix."""

import numpy as np
import pytest

from ppool_jax import metrics
from tests.helpers.evaluation import CLASS_TABLE, examples
from train.data.classes import IGNORE
from train.data.datasets.camvid_classes import CAMVID
from train.evaluation.best_worst import image_miou
from train.evaluation.evaluator import SegmentationEvaluator, summarize_confusion


def test_evaluator_equals_metrics_of_all_images_together():
  """All metrics of two images equal the metrics of their concatenation."""
  source = examples([(20, 30)] * 2)
  draw = np.random.default_rng(1)
  found = [draw.integers(0, 3, (20, 30)) for _ in source]
  evaluator = SegmentationEvaluator(CLASS_TABLE, 0.05, (1, 3))
  each = [evaluator.update(example["label"], labels) for example, labels in zip(source, found, strict=True)]
  truth = np.stack([example["label"] for example in source])
  counts = metrics.confusion(truth, np.stack(found), 4)
  np.testing.assert_array_equal(sum(each), counts)
  results = evaluator.compute()
  assert {name: results[name] for name in summarize_confusion(counts, CLASS_TABLE)} == summarize_confusion(
    counts, CLASS_TABLE
  )
  bands = metrics.boundary_iou(truth, np.stack(found), 4, IGNORE, 0.05)
  assert list(results["per_class_boundary_iou"].values()) == bands.tolist()
  assert results["boundary_iou"] == bands.mean()
  trimaps = {w: metrics.trimap_confusion(truth, np.stack(found), 4, IGNORE, w) for w in (1, 3)}
  assert results["trimap_miou"] == {str(w): metrics.mean_iou(c) for w, c in trimaps.items()}


def test_summary_of_a_confusion_matrix_by_hand():
  """Class sky is in neither truth nor prediction; class car only in the prediction."""
  results = summarize_confusion(np.array([[6, 0, 0, 2], [2, 2, 0, 0], [0] * 4, [0] * 4]), CLASS_TABLE)
  assert results["per_class_iou"] == {"road": 0.6, "pole": 0.5, "sky": None, "car": 0.0}
  assert results["per_class_accuracy"] == {"road": 0.75, "pole": 0.5, "sky": None, "car": None}
  assert results["per_class_pixels"] == {"road": 8, "pole": 4, "sky": 0, "car": 0}
  numbers = {"miou": 1.1 / 3, "miou_official": 1.1 / 4, "pixel_accuracy": 8 / 12, "mean_accuracy": 1.25 / 2}
  numbers |= {"frequency_weighted_iou": (8 * 0.6 + 4 * 0.5) / 12, "thin_iou": 0.5}
  assert {name: results[name] for name in numbers} == pytest.approx(numbers)


def test_false_positives_of_absent_classes_lower_image_miou():
  counts = np.array([[90, 9, 0, 1], [0, 100, 0, 0], [0] * 4, [0] * 4])
  assert image_miou(counts) == pytest.approx((90 / 100 + 100 / 109) / 2)
  assert np.isnan(image_miou(0 * counts))


def test_absent_classes_are_null_and_do_not_count():
  confusion = np.zeros((11, 11), np.int64)
  confusion[0, 0], confusion[3, 3], confusion[3, 0] = 6, 2, 2
  results = summarize_confusion(confusion, CAMVID)
  assert results["per_class_iou"]["Pole"] is None
  assert results["per_class_iou"]["Road"] == 0.5
  np.testing.assert_allclose(results["miou"], (6 / 8 + 2 / 4) / 2)
  assert results["thin_iou"] is None

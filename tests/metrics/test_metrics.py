"""The confusion matrix and its metrics, compared with loops over pixels and with numbers by hand."""

import re

import chex
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

from ppool_jax import metrics

#            predicted: 0  1  2  3
BY_HAND = np.array([[5, 1, 0, 0], [2, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])  # fmt: skip
PIXELS = st.tuples(st.integers(1, 5), st.booleans()).flatmap(
  lambda drawn: st.tuples(
    *map(st.just, drawn),
    st.lists(
      st.tuples(
        st.sampled_from([*range(drawn[0]), 255]),
        st.integers(-3, drawn[0] + 3) if drawn[1] else st.integers(0, drawn[0] - 1),
      ),
      max_size=30,
    ),
  )
)


def by_pixels(pairs, k, ignore=255, lenient=False):
  """Counts one pixel at a time."""
  counts = [[0] * (k + lenient) for _ in range(k)]
  for label, prediction in pairs:
    if label != ignore:
      counts[label][prediction if 0 <= prediction < k else k] += 1
  return np.array(counts)


def mean(values):
  return sum(values) / len(values) if values else float("nan")


@given(PIXELS)
def test_metrics_equal_a_count_by_pixels(drawn):
  """Computed from sets of pixels.

  With `lenient`, a pixel predicted as no class is in no predicted set, but in its true set.
  """
  k, lenient, pairs = drawn
  labels, predictions = np.array(pairs, np.int32).reshape(-1, 2).T
  counts = metrics.confusion(labels, predictions, k, lenient=lenient)
  chex.assert_type(counts, np.int64)
  chex.assert_shape(counts, (k, k + lenient))
  chex.assert_trees_all_equal(counts, by_pixels(pairs, k, lenient=lenient), strict=True)

  counted = [(i, pair) for i, pair in enumerate(pairs) if pair[0] != 255]
  ious, recalls, weights = [], [], []
  for c in range(k):
    truth, found = ({i for i, pair in counted if pair[side] == c} for side in (0, 1))
    union, hits = truth | found, truth & found
    ious.append(len(hits) / len(union) if union else float("nan"))
    recalls.append(len(hits) / len(truth) if truth else float("nan"))
    weights.append(len(truth))
  weighted = [ious[c] for c in range(k) for _ in range(weights[c])]  # the IoU of each pixel's true class
  expected = {
    "iou": np.array(ious),
    "accuracy": np.array(recalls),
    "mean_iou": mean([v for v in ious if v == v]),
    "mean_accuracy": mean([v for v in recalls if v == v]),
    "frequency_weighted_iou": mean(weighted),
    "pixel_accuracy": mean([pair[0] == pair[1] for _, pair in counted]),
  }
  found = {name: getattr(metrics, name)(counts) for name in expected}
  chex.assert_trees_all_close(found, expected, rtol=1e-12)


def test_metrics_of_a_small_matrix_by_hand():
  """A class in neither truth nor prediction is NaN and in no mean."""
  np.testing.assert_allclose(metrics.iou(BY_HAND), [5 / 8, 2 / 5, np.nan, np.nan])
  np.testing.assert_allclose(metrics.accuracy(BY_HAND), [5 / 6, 2 / 4, np.nan, np.nan])
  assert metrics.mean_iou(BY_HAND) == pytest.approx((5 / 8 + 2 / 5) / 2)
  assert metrics.mean_accuracy(BY_HAND) == pytest.approx((5 / 6 + 1 / 2) / 2)
  assert metrics.pixel_accuracy(BY_HAND) == pytest.approx(7 / 10)
  assert metrics.official_mean_iou(BY_HAND) == pytest.approx((5 / 8 + 2 / 5) / 4)
  assert metrics.frequency_weighted_iou(BY_HAND) == pytest.approx(0.6 * 5 / 8 + 0.4 * 2 / 5)
  assert isinstance(metrics.mean_iou(BY_HAND), float)
  assert metrics.confusion([[0, 1]], [[2, 2]], 3).tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 0]]


def test_class_that_is_only_predicted_has_iou_0():
  """It counts in mean IoU but not in mean accuracy."""
  counts = np.array([[3, 1], [0, 0]])
  np.testing.assert_array_equal(metrics.iou(counts), [0.75, 0])
  np.testing.assert_array_equal(metrics.accuracy(counts), [0.75, np.nan])
  assert metrics.mean_iou(counts) == 0.375
  assert metrics.mean_accuracy(counts) == 0.75


def test_official_mean_iou_equals_sceneparsing():
  """ADE20K's evaluation with its own coding: 0 unlabeled, 1..150, predictions up to 255."""
  rng = np.random.default_rng(0)
  areas, right, labeled = np.zeros((2, 150)), 0, 0
  total = np.zeros((150, 151), np.int64)
  for _ in range(3):
    truth = rng.integers(0, 120, (20, 30), np.uint8)
    found = np.where(rng.random(truth.shape) < 0.5, truth, rng.integers(0, 256, truth.shape)).astype(np.uint8)
    for c in range(1, 151):
      of_truth, of_found = truth == c, (found == c) & (truth > 0)
      areas[:, c - 1] += np.sum(of_truth & of_found), np.sum(of_truth | of_found)
    right, labeled = right + np.sum((found == truth) & (truth > 0)), labeled + np.sum(truth > 0)
    # Less one, unlabeled is 255 in uint8, and "unlabeled" as a prediction is out of range.
    total += metrics.confusion(truth - np.uint8(1), found.astype(int) - 1, 150, lenient=True)
  ious = areas[0] / (areas[1] + np.spacing(1))
  assert (areas[1] == 0).any(), "some classes in neither"
  assert metrics.official_mean_iou(total) == pytest.approx(ious.mean(), rel=1e-12)
  assert metrics.mean_iou(total) > metrics.official_mean_iou(total)
  assert metrics.pixel_accuracy(total) == pytest.approx(right / labeled, rel=1e-12)


@pytest.mark.parametrize(
  ("dtype", "values", "column"),
  [
    (np.uint8, [199, 200, 255], [199, 200, 200]),
    (np.int8, [127, -1, -56], [127, 200, 200]),  # -56 and 200 are the same eight bits
    (np.int32, [3, 256 + 3, -(2**31)], [3, 200, 200]),
    (np.uint64, [3, 2**64 - 1, 2**63 + 3], [3, 200, 200]),
  ],
)
def test_lenient_counts_any_integer_out_of_range(dtype, values, column):
  """It is in the "no class" column, and no conversion wraps it into the range."""
  counts = metrics.confusion([7, 8, 9], np.array(values, dtype), 200, lenient=True)
  assert np.argwhere(counts).tolist() == [[7, column[0]], [8, column[1]], [9, column[2]]]


def test_lenient_refuses_wrong_labels_and_types():
  with pytest.raises(ValueError, match=r"^labels: expected 0\.\.1, got 2$"):
    metrics.confusion([0, 2], [0, 1], 2, lenient=True)
  with pytest.raises(TypeError, match=r"^predictions: expected integers, got float64$"):
    metrics.confusion([0, 1], [0.0, 1.0], 2, lenient=True)


@pytest.mark.parametrize(
  ("dtype", "ignore"), [(np.uint8, 255), (np.int64, -1), (np.int16, 1000), (np.uint8, 0), (np.uint8, 2)]
)
def test_ignored_pixels_are_not_counted(dtype, ignore):
  """Any label may be ignored, also a valid class."""
  labels = np.array([0, 1, 2, ignore, 1, ignore], dtype)
  predictions = np.array([0, 2, 2, 1, 1, 0], np.int32)
  counts = metrics.confusion(labels, predictions, 3, ignore=ignore)
  pairs = list(zip(labels.tolist(), predictions.tolist(), strict=True))
  chex.assert_trees_all_equal(counts, by_pixels(pairs, 3, ignore), strict=True)


@pytest.mark.parametrize("ignore", [-1, 256, 1000])
def test_ignore_outside_the_labels_dtype_ignores_nothing(ignore):
  """255 is then a wrong label."""
  labels = np.array([0, 1, 1], np.uint8)
  assert metrics.confusion(labels, np.array([0, 0, 1]), 2, ignore=ignore).tolist() == [[1, 0], [1, 1]]
  with pytest.raises(ValueError, match=r"^labels: expected 0\.\.1, got 255$"):
    metrics.confusion(np.array([0, 255], np.uint8), np.array([0, 0]), 2, ignore=ignore)


@pytest.mark.parametrize(
  ("labels", "predictions", "error", "message"),
  [
    ([0, 1], [0, 2], ValueError, r"^predictions: expected 0\.\.1, got 2$"),
    ([0, 1], [0, -3], ValueError, r"^predictions: expected 0\.\.1, got -3$"),
    ([0, 255], [0, 2], ValueError, r"^predictions: expected 0\.\.1, got 2$"),  # where ignored, too
    ([0, 2], [0, 1], ValueError, r"^labels: expected 0\.\.1, got 2$"),
    ([0, -1], [0, 1], ValueError, r"^labels: expected 0\.\.1, got -1$"),
    ([0, 1], [0, 1, 1], ValueError, r"^predictions: expected the labels' shape \(2,\), got \(3,\)$"),
    ([[0, 1]], [[0], [1]], ValueError, r"labels' shape \(1, 2\), got \(2, 1\)$"),
    ([0, 1], [0.0, 1.0], TypeError, r"^predictions: expected integers, got float64$"),
    ([0.0, 1.0], [0, 1], TypeError, r"^labels: expected integers, got float64$"),
  ],
)
def test_invalid_labels_and_predictions_are_refused(labels, predictions, error, message):
  """The message has the value."""
  with pytest.raises(error, match=message):
    metrics.confusion(np.array(labels), np.array(predictions), 2)


@pytest.mark.parametrize(("k", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError)])
def test_invalid_number_of_classes_is_refused(k, error):
  with pytest.raises(error, match=rf"^num_classes: expected .*, got {k}$"):
    metrics.confusion([0], [0], k)


@pytest.mark.parametrize("shape", [(3,), (3, 2), (3, 5), (1, 3, 3)])
def test_arrays_of_other_shapes_are_no_confusion_matrix(shape):
  for metric in (metrics.iou, metrics.accuracy, metrics.pixel_accuracy, metrics.frequency_weighted_iou):
    with pytest.raises(ValueError, match=rf"^confusion: .*, got shape {re.escape(str(shape))}$"):
      metric(np.ones(shape, int))


def test_uint8_labels_do_not_overflow():
  """With 200 classes the codes of pairs go up to 40,000."""
  labels, predictions = np.array([199, 150], np.uint8), np.array([199, 3], np.uint8)
  counts = metrics.confusion(labels, predictions, 200)
  assert counts[199, 199] == counts[150, 3] == 1
  assert counts.sum() == 2


def test_counts_beyond_2_to_the_31_are_exact():
  """And so are the metrics."""
  one = metrics.confusion(np.repeat([0, 0, 1], 50), np.repeat([0, 1, 1], 50), 2)
  total = sum((one * 2**30 for _ in range(3)), np.zeros_like(one)) + one
  chex.assert_type(total, np.int64)
  assert total[0, 1] == 50 * (3 * 2**30 + 1) > 2**37
  np.testing.assert_allclose(metrics.iou(total), [1 / 2, 1 / 2], rtol=1e-12)
  assert metrics.pixel_accuracy(total) == pytest.approx(2 / 3, rel=1e-12)


@pytest.mark.parametrize("labels", [np.zeros((0, 4), np.uint8), np.full((2, 2), 255, np.uint8)])
def test_metrics_without_counted_pixels_are_nan(labels):
  """An empty image and one that is all ignored; there is no warning."""
  counts = metrics.confusion(labels, np.zeros(labels.shape, np.int32), 3)
  chex.assert_trees_all_equal(counts, np.zeros((3, 3), np.int64), strict=True)
  assert np.isnan(metrics.iou(counts)).all()
  assert np.isnan(metrics.accuracy(counts)).all()
  names = ("mean_iou", "mean_accuracy", "pixel_accuracy", "frequency_weighted_iou")
  assert all(np.isnan(getattr(metrics, name)(counts)) for name in names)
  assert metrics.official_mean_iou(counts) == 0


def test_jax_arrays_are_accepted():
  counts = metrics.confusion(jnp.array([0, 1, 255], jnp.uint8), jnp.array([1, 1, 0]), 2)
  assert isinstance(counts, np.ndarray)
  assert counts.tolist() == [[0, 1], [0, 1]]
  with pytest.raises(TypeError, match="got float32"):
    metrics.confusion(jnp.array([0, 1]), jnp.array([0.0, 1.0]), 2)

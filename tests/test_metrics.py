"""Confusion matrix and what is read from it, against loops over pixels and numbers by hand."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

from ppool_jax import metrics

#            predicted: 0  1  2  3
BY_HAND = np.array([[5, 1, 0, 0], [2, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])  # fmt: skip
PIXELS = st.integers(1, 5).flatmap(
  lambda k: st.tuples(
    st.just(k),
    st.lists(st.tuples(st.sampled_from([*range(k), 255]), st.integers(0, k - 1)), max_size=30),
  )
)


def by_pixels(pairs, k, ignore=255):
  """Counts one pixel at a time."""
  counts = [[0] * k for _ in range(k)]
  for label, prediction in pairs:
    if label != ignore:
      counts[label][prediction] += 1
  return np.array(counts)


def mean(values):
  return sum(values) / len(values) if values else float("nan")


@given(PIXELS)
def test_every_metric_counts_pixels(drawn):
  """Each number from sets of pixels: intersections, unions, shares; means over the classes there are."""
  k, pairs = drawn
  labels, predictions = np.array(pairs, np.int32).reshape(-1, 2).T
  counts = metrics.confusion(labels, predictions, k)
  assert (counts.dtype, counts.shape) == (np.int64, (k, k))
  np.testing.assert_array_equal(counts, by_pixels(pairs, k))

  counted = [(i, pair) for i, pair in enumerate(pairs) if pair[0] != 255]
  ious, recalls = [], []
  for c in range(k):
    truth, found = ({i for i, pair in counted if pair[side] == c} for side in (0, 1))
    union, hits = truth | found, truth & found
    ious.append(len(hits) / len(union) if union else float("nan"))
    recalls.append(len(hits) / len(truth) if truth else float("nan"))
  np.testing.assert_allclose(metrics.iou(counts), ious, rtol=1e-12)
  np.testing.assert_allclose(metrics.accuracy(counts), recalls, rtol=1e-12)
  np.testing.assert_allclose(metrics.mean_iou(counts), mean([v for v in ious if v == v]), rtol=1e-12)
  np.testing.assert_allclose(metrics.mean_accuracy(counts), mean([v for v in recalls if v == v]), rtol=1e-12)
  share = mean([pair[0] == pair[1] for _, pair in counted])
  np.testing.assert_allclose(metrics.pixel_accuracy(counts), share, rtol=1e-12)


def test_by_hand():
  """Rows are the truth; a class in neither truth nor prediction is NaN and in no mean."""
  np.testing.assert_allclose(metrics.iou(BY_HAND), [5 / 8, 2 / 5, np.nan, np.nan])
  np.testing.assert_allclose(metrics.accuracy(BY_HAND), [5 / 6, 2 / 4, np.nan, np.nan])
  assert metrics.mean_iou(BY_HAND) == pytest.approx((5 / 8 + 2 / 5) / 2)
  assert metrics.mean_accuracy(BY_HAND) == pytest.approx((5 / 6 + 1 / 2) / 2)
  assert metrics.pixel_accuracy(BY_HAND) == pytest.approx(7 / 10)
  assert isinstance(metrics.mean_iou(BY_HAND), float)
  assert metrics.confusion([[0, 1]], [[2, 2]], 3).tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 0]]


def test_a_class_only_predicted_has_iou_0_and_no_accuracy():
  """False positives of a class that is not in the truth count in mean IoU, not in mean accuracy."""
  counts = np.array([[3, 1], [0, 0]])
  np.testing.assert_array_equal(metrics.iou(counts), [0.75, 0])
  np.testing.assert_array_equal(metrics.accuracy(counts), [0.75, np.nan])
  assert metrics.mean_iou(counts) == 0.375
  assert metrics.mean_accuracy(counts) == 0.75


@pytest.mark.parametrize(
  ("dtype", "ignore"), [(np.uint8, 255), (np.int64, -1), (np.int16, 1000), (np.uint8, 0), (np.uint8, 2)]
)
def test_ignore(dtype, ignore):
  """Whatever the label of ignored pixels, they count nowhere; a valid class may be ignored too."""
  labels = np.array([0, 1, 2, ignore, 1, ignore], dtype)
  predictions = np.array([0, 2, 2, 1, 1, 0], np.int32)
  counts = metrics.confusion(labels, predictions, 3, ignore=ignore)
  pairs = list(zip(labels.tolist(), predictions.tolist(), strict=True))
  np.testing.assert_array_equal(counts, by_pixels(pairs, 3, ignore))


@pytest.mark.parametrize("ignore", [-1, 256, 1000])
def test_ignore_that_the_labels_cannot_hold(ignore):
  """An ignore label outside the labels' dtype ignores nothing, so that 255 is a wrong label."""
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
def test_refused(labels, predictions, error, message):
  """What cannot be counted is refused, with the value."""
  with pytest.raises(error, match=message):
    metrics.confusion(np.array(labels), np.array(predictions), 2)


def test_narrow_dtypes_do_not_overflow():
  """200 classes in uint8: the pair's number is 40,000."""
  labels, predictions = np.array([199, 150], np.uint8), np.array([199, 3], np.uint8)
  counts = metrics.confusion(labels, predictions, 200)
  assert counts[199, 199] == counts[150, 3] == 1
  assert counts.sum() == 2


def test_counts_beyond_2_to_the_31():
  """A set's sum of counts is exact, and the metrics of it are."""
  one = metrics.confusion(np.repeat([0, 0, 1], 50), np.repeat([0, 1, 1], 50), 2)
  total = sum((one * 2**30 for _ in range(3)), np.zeros_like(one)) + one
  assert total.dtype == np.int64
  assert total[0, 1] == 50 * (3 * 2**30 + 1) > 2**37
  np.testing.assert_allclose(metrics.iou(total), [1 / 2, 1 / 2], rtol=1e-12)
  assert metrics.pixel_accuracy(total) == pytest.approx(2 / 3, rel=1e-12)


@pytest.mark.parametrize("labels", [np.zeros((0, 4), np.uint8), np.full((2, 2), 255, np.uint8)])
def test_nothing_to_count(labels):
  """An empty image, or one that is all ignored: zero counts, every metric NaN, no warning."""
  counts = metrics.confusion(labels, np.zeros(labels.shape, np.int32), 3)
  np.testing.assert_array_equal(counts, np.zeros((3, 3)))
  assert np.isnan(metrics.iou(counts)).all()
  assert np.isnan(metrics.accuracy(counts)).all()
  for metric in (metrics.mean_iou, metrics.mean_accuracy, metrics.pixel_accuracy):
    assert np.isnan(metric(counts))


def test_jax_arrays():
  counts = metrics.confusion(jnp.array([0, 1, 255], jnp.uint8), jnp.array([1, 1, 0]), 2)
  assert isinstance(counts, np.ndarray)
  assert counts.tolist() == [[0, 1], [0, 1]]
  with pytest.raises(TypeError, match="got float32"):
    metrics.confusion(jnp.array([0, 1]), jnp.array([0.0, 1.0]), 2)

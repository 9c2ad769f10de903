"""Boundary IoU and trimap counts, compared with their definitions by erosion and by loops over pixels."""

import re

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import ndimage

from ppool_jax import metrics

SQUARE = np.zeros((12, 16), np.uint8)
SQUARE[3:9, 4:10] = 1  # 6 x 6 pixels
MANY = settings(max_examples=150)


@st.composite
def maps(draw):
  """K, labels in blocks with void and absent classes, and predictions, some of which are no class."""
  k, height, width, grain = (draw(st.integers(1, most)) for most in (4, 14, 14, 6))
  rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
  labels = rng.choice([*range(k), 255], (14, 14)).repeat(grain, 0).repeat(grain, 1)[:height, :width]
  noise = rng.integers(-2, k + 2, labels.shape)
  return k, labels, np.where(rng.random(labels.shape) < 0.8, np.roll(labels, 1, axis=1), noise)


def band(mask, distance):
  """The mask minus its iterated 3x3 erosion, with zeros around the image, as in boundary-iou-api."""
  inside = ndimage.binary_erosion(np.pad(mask, 1), np.ones((3, 3)), distance, border_value=1)
  return mask & ~inside[1:-1, 1:-1]


def counts_by_erosion(labels, predictions, k, distance, ignore=255):
  """[K, 2] from the band of each class's mask, where void is removed from predictions."""
  valid = labels != ignore
  bands = [[band((x == c) & valid, distance) for x in (labels, predictions)] for c in range(k)]
  return np.array([[np.sum(truth & found), np.sum(truth | found)] for truth, found in bands])


def trimap_by_pixels(labels, predictions, k, width):
  """[K, K + 1] over the pixels whose box, cropped at the border, has another label."""
  counts = np.zeros((k, k + 1), int)
  for (i, j), label in np.ndenumerate(labels):
    box = labels[max(0, i - width) : i + width + 1, max(0, j - width) : j + width + 1]
    if label != 255 and (box != label).any():
      found = predictions[i, j]
      counts[label, found if 0 <= found < k else k] += 1
  return counts


@MANY
@given(maps(), st.integers(1, 20))
def test_boundary_counts_equal_eroded_masks(drawn, distance):
  """Also for one class, one pixel, only void, bands wider than the image, and values of no class."""
  k, labels, predictions = drawn
  ratio = distance / np.hypot(*labels.shape)
  counts = metrics.boundary_counts(labels, predictions, k, 255, ratio, lenient=True)
  assert (counts.dtype, counts.shape) == (np.int64, (k, 2))
  np.testing.assert_array_equal(counts, counts_by_erosion(labels, predictions, k, distance))


def test_boundary_counts_of_a_moved_square_by_hand():
  """A 6x6 square moved by one pixel: two frames of 20 pixels that share 10."""
  counts = metrics.boundary_counts(SQUARE, np.roll(SQUARE, 1, axis=1), 3, dilation_ratio=0.05)
  assert counts[1:].tolist() == [[5 + 5, 40 - 10], [0, 0]]
  np.testing.assert_array_equal(metrics.iou_of_counts(counts)[1:], [1 / 3, np.nan])


@pytest.mark.parametrize(
  ("ratio", "distance"), [(0.001, 1), (0.02, 1), (0.04, 2), (0.07, 4), (0.3, 15), (9, 15)]
)
def test_band_width_follows_the_image_diagonal(ratio, distance):
  """30x40 pixels have a diagonal of 50. The border is a contour; the band is at least one pixel wide."""
  zeros = np.zeros((30, 40), np.uint8)
  size = 30 * 40 - (30 - 2 * distance) * (40 - 2 * distance)
  assert metrics.boundary_counts(zeros, zeros, 1, 255, ratio).tolist() == [[size, size]]


@MANY
@given(maps(), st.integers(1, 6))
def test_predictions_in_void_change_nothing(drawn, width):
  """A perfect prediction scores 1 with any amount of void; only void gives NaN."""
  k, labels, predictions = drawn
  others = np.where(labels == 255, (predictions + 1) % k, predictions)
  for function, argument in ((metrics.boundary_counts, 0.2), (metrics.trimap_confusion, width)):
    counts = [function(labels, x, k, 255, argument, lenient=True) for x in (predictions, others)]
    np.testing.assert_array_equal(*counts)
  perfect = np.where(labels == 255, 0, labels)
  expected = [1.0 if (labels == c).any() else np.nan for c in range(k)]
  np.testing.assert_array_equal(metrics.boundary_iou([labels], [perfect], k), expected)


def test_edge_of_void_is_a_contour():
  """With void around the square, as in VOC, the square keeps its frame and the background gets one."""
  labels = SQUARE.copy()
  labels[ndimage.binary_dilation(SQUARE, np.ones((3, 3))) & (SQUARE == 0)] = 255
  counts = metrics.boundary_counts(labels, np.ones_like(labels), 2, dilation_ratio=0.05)
  border, ring = 2 * 12 + 2 * 14, 4 * 8 + 4
  predicted = border + ring + 20  # void cuts "all square" into the same two parts
  assert counts.tolist() == [[0, border + ring], [20, predicted]]


def test_counts_are_summed_before_the_division():
  """For lists, generators, batches and single images; it is not the mean of the images' values."""
  large = np.kron(SQUARE, np.ones((3, 3), np.uint8))
  labels, predictions = [SQUARE, large, 0 * SQUARE], [np.roll(SQUARE, 2, axis=0), large, SQUARE]
  counts = [metrics.boundary_counts(*pair, 2, 255, 0.05) for pair in zip(labels, predictions, strict=True)]
  expected = np.sum(counts, 0)[:, 0] / np.sum(counts, 0)[:, 1]
  of_list = metrics.boundary_iou(labels, predictions, 2, 255, 0.05)
  np.testing.assert_array_equal(of_list, expected)
  np.testing.assert_array_equal(
    metrics.boundary_iou(iter(labels), (x for x in predictions), 2, 255, 0.05), expected
  )
  assert abs(of_list - np.mean([metrics.iou_of_counts(c) for c in counts], 0)).min() > 0.01

  batch = [jnp.stack([x[0], x[2]]) for x in (labels, predictions)]
  np.testing.assert_array_equal(
    metrics.boundary_iou(*batch, 2, 255, 0.05),
    metrics.boundary_iou(labels[::2], predictions[::2], 2, 255, 0.05),
  )
  alone = metrics.boundary_iou(labels[0], predictions[0], 2)
  np.testing.assert_array_equal(
    alone, metrics.iou_of_counts(metrics.boundary_counts(labels[0], predictions[0], 2))
  )


@pytest.mark.parametrize(("labels", "predictions", "got"), [(1, 2, "more"), (2, 1, "fewer"), (0, 1, "more")])
def test_different_numbers_of_images_are_refused(labels, predictions, got):
  with pytest.raises(ValueError, match=f"^predictions: expected one per label, got {got}$"):
    metrics.boundary_iou([SQUARE] * labels, [SQUARE] * predictions, 2)


def test_no_images_give_nan():
  np.testing.assert_array_equal(metrics.boundary_iou([], [], 2), [np.nan, np.nan])
  with pytest.raises(ValueError, match=r"^num_classes: expected >= 1, got 0$"):
    metrics.boundary_iou([], [], 0)


@MANY
@given(maps(), st.integers(1, 20))
def test_trimap_equals_a_count_by_pixels(drawn, width):
  k, labels, predictions = drawn
  counts = metrics.trimap_confusion(labels, predictions, k, 255, width, lenient=True)
  assert (counts.dtype, counts.shape) == (np.int64, (k, k + 1))
  np.testing.assert_array_equal(counts, trimap_by_pixels(labels, predictions, k, width))
  known = np.clip(predictions, 0, k - 1)
  strict = metrics.trimap_confusion(labels, known, k, 255, width)
  np.testing.assert_array_equal(strict, trimap_by_pixels(labels, known, k, width)[:, :k])


def test_trimap_of_two_halves_by_hand():
  """`width` columns on both sides of the edge count; the border of an image is no label change."""
  halves = np.repeat([[0, 1]], 5, axis=0).repeat(10, axis=1)
  for width in (1, 3, 10, 10**12):
    side = 5 * min(width, 10)
    assert metrics.trimap_confusion(halves, 0 * halves, 2, 255, width).tolist() == [[side, 0], [side, 0]]
  assert not metrics.trimap_confusion(0 * halves, halves, 2, 255, 3).any()


@pytest.mark.parametrize("width", [1, 2, 5])
def test_trimap_around_void_equals_deeplab(width):
  """Its evaluation dilates void by a square of 2 width + 1 pixels and excludes void."""
  void = ndimage.binary_dilation(SQUARE, np.ones((3, 3))) & (SQUARE == 0)
  near = ndimage.binary_dilation(void, np.ones((2 * width + 1, 2 * width + 1))) & ~void
  counts = metrics.trimap_confusion(np.where(void, 255, SQUARE), np.roll(SQUARE, 1), 2, 255, width)
  np.testing.assert_array_equal(counts, metrics.confusion(SQUARE[near], np.roll(SQUARE, 1)[near], 2))


def test_trimap_of_a_batch_is_the_sum_over_its_images():
  """Pixels of other images are not near."""
  labels, predictions = np.stack([SQUARE, 0 * SQUARE, SQUARE.T.reshape(12, 16)]), np.stack([SQUARE] * 3)
  one_by_one = [metrics.trimap_confusion(*x, 2, 255, 2) for x in zip(labels, predictions, strict=True)]
  np.testing.assert_array_equal(metrics.trimap_confusion(labels, predictions, 2, 255, 2), sum(one_by_one))


@pytest.mark.parametrize(
  ("k", "ignore", "dtype"),
  [(2, 0, np.uint8), (2, -1, np.int64), (255, 255, np.int16), (256, 256, np.int16), (300, 999, int)],
)
def test_any_ignore_label_and_number_of_classes_work(k, ignore, dtype):
  """A valid class may be ignored and is then wrong where predicted; the code K must differ from it."""
  labels = np.array([[0, 0, 1, 1, ignore, ignore, k - 1, k - 1]] * 3, dtype)
  predictions = np.array([[0, 1, 1, 0, 0, 1, k - 1, 0]] * 3, dtype)
  counts = metrics.boundary_counts(labels, predictions, k, ignore, 0.01)
  np.testing.assert_array_equal(counts, counts_by_erosion(labels, predictions, k, 1, ignore))
  trimap = metrics.trimap_confusion(labels, predictions, k, ignore, 100)
  np.testing.assert_array_equal(trimap, metrics.confusion(labels, predictions, k, ignore))


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0)])
def test_empty_images_have_no_counts(shape):
  empty = np.zeros(shape, np.uint8)
  assert not metrics.boundary_counts(empty, empty, 2).any()
  assert not metrics.trimap_confusion(empty, empty, 2, 255, 3).any()


@pytest.mark.parametrize(
  ("labels", "predictions", "error", "message"),
  [
    ([[0, 1]], [[0, 2]], ValueError, r"^predictions: expected 0\.\.1, got 2$"),
    ([[0, 255]], [[0, -1]], ValueError, r"^predictions: expected 0\.\.1, got -1$"),  # where ignored, too
    ([[0, 2]], [[0, 1]], ValueError, r"^labels: expected 0\.\.1, got 2$"),
    ([[0, 1]], [[0.0, 1.0]], TypeError, "^predictions: expected integers, got float64$"),
    ([[0, 1]], [[0], [1]], ValueError, r"^predictions: expected the labels' shape \(1, 2\), got \(2, 1\)$"),
  ],
)
def test_invalid_labels_and_predictions_are_refused(labels, predictions, error, message):
  for function, arguments in ((metrics.boundary_counts, ()), (metrics.trimap_confusion, (255, 1))):
    with pytest.raises(error, match=message):
      function(np.array(labels), np.array(predictions), 2, *arguments)


@pytest.mark.parametrize(
  ("ratio", "error"),
  [(0, ValueError), (-0.02, ValueError), (np.nan, ValueError), (np.inf, ValueError), ("2", TypeError)],
)
def test_invalid_ratio_is_refused(ratio, error):
  with pytest.raises(error, match=rf"^dilation_ratio: expected .*, got {re.escape(repr(ratio))}$"):
    metrics.boundary_iou([SQUARE], [SQUARE], 2, 255, ratio)


@pytest.mark.parametrize(("width", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_invalid_width_is_refused(width, error):
  with pytest.raises(error, match=rf"^width: expected .*, got {width}$"):
    metrics.trimap_confusion(SQUARE, SQUARE, 2, 255, width)


def test_arrays_of_other_shapes_are_refused():
  with pytest.raises(ValueError, match=r"^labels: expected one image \[H, W\], got shape \(1, 12, 16\)$"):
    metrics.boundary_counts(SQUARE[None], SQUARE[None], 2)
  with pytest.raises(ValueError, match=r"^labels: expected \[H, W\] or \[N, H, W\], got shape \(16,\)$"):
    metrics.trimap_confusion(SQUARE[0], SQUARE[0], 2, 255, 1)

"""Sliding windows cover each pixel, are averaged where they overlap, and are padded if needed."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.helpers.evaluation import examples
from train.evaluation.sliding_window import sliding_window, window_origins

COLOR = (10, 20, 30)


def mean_of_crop(variables, images):
  """A `PredictFn` that depends on the whole window."""
  return images.astype(jnp.float32) * images.mean((1, 2), keepdims=True)


@given(st.tuples(*[st.integers(1, 30)] * 3), st.tuples(*[st.integers(1, 30)] * 3))
def test_windows_cover_every_pixel_and_stay_inside(rows, columns):
  """For any size, window and stride: the windows start at the stride, and the last is moved inside."""
  size, window, stride = zip(
    *[(max(a, b), min(a, b), min(a, b, c)) for a, b, c in (rows, columns)], strict=True
  )
  origins, coverage = window_origins(size, window, stride)
  counts = np.zeros(size)
  for (y, x), row, column in itertools.product(origins, range(window[0]), range(window[1])):
    counts[y + row, x + column] += 1  # an index outside raises
  np.testing.assert_array_equal(coverage, counts)
  assert counts.min() >= 1
  for axis in (0, 1):
    starts = sorted({corner[axis] for corner in origins.tolist()})
    assert starts[:-1] == list(range(0, size[axis] - window[axis], stride[axis]))
    assert starts[-1] == size[axis] - window[axis]


def test_window_origins_by_hand():
  origins, coverage = window_origins((4, 8), (4, 4), (2, 3))
  assert origins.tolist() == [[0, 0], [0, 3], [0, 4]]
  assert coverage.tolist() == [[1, 1, 1, 2, 2, 2, 2, 1]] * 4


def test_one_window_over_the_image_equals_no_window(network):
  _, variables, probabilities, images = network
  seen = jax.jit(sliding_window(probabilities, (40, 56), (40, 56), COLOR))(variables, images)
  np.testing.assert_allclose(seen, probabilities(variables, images), atol=1e-6)


@pytest.mark.parametrize(("window", "stride"), [((4, 5), (3, 2)), ((7, 7), (7, 7)), ((3, 11), (2, 11))])
def test_overlapping_windows_are_averaged(window, stride):
  """Equals loops in float64."""
  images = np.stack([example["image"] for example in examples([(9, 13)] * 2)])
  seen = sliding_window(mean_of_crop, window, stride, COLOR)(None, images)
  total, counts = np.zeros(images.shape), np.zeros(images.shape)
  for y in sorted({*range(0, 9 - window[0], stride[0]), 9 - window[0]}):
    for x in sorted({*range(0, 13 - window[1], stride[1]), 13 - window[1]}):
      crop = images[:, y : y + window[0], x : x + window[1]].astype(float)
      total[:, y : y + window[0], x : x + window[1]] += crop * crop.mean((1, 2), keepdims=True)
      counts[:, y : y + window[0], x : x + window[1]] += 1
  np.testing.assert_allclose(seen, total / counts, rtol=1e-5)


def test_an_image_smaller_than_the_window_is_padded():
  """Below and on the right, with the color; the result has the image's size."""
  image = np.full((1, 2, 3, 3), 100, np.uint8)
  seen = sliding_window(mean_of_crop, (4, 3), (4, 3), COLOR)(None, image)
  np.testing.assert_allclose(seen[0], np.broadcast_to(100 * (100 + np.array(COLOR)) / 2, (2, 3, 3)))

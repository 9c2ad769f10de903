"""Boundary IoU and trimaps of a data set, compared with loops over pixels and their neighbors."""

import itertools

import numpy as np
import pytest

from tests.helpers.evaluation import CLASS_TABLE, examples
from train.data.classes import IGNORE
from train.evaluation.evaluator import SegmentationEvaluator

SIZES = {(6, 8): 1, (8, 15): 2, (20, 21): 3}  # diagonals of 10, 17 and 29 pixels, a tenth of each
CLASSES = 4


def neighbors(pixel, distance):
  """The pixels in the square around a pixel, including those outside the image."""
  steps = range(-distance, distance + 1)
  return [(pixel[0] + i, pixel[1] + j) for i, j in itertools.product(steps, steps)]


def inside(shape, pixel):
  return all(0 <= at < side for at, side in zip(pixel, shape, strict=True))


def band(values, label, c, distance):
  """Pixels of class c, without void, near a pixel of another class or outside the image."""
  mine = {p for p in np.ndindex(values.shape) if values[p] == c and label[p] != IGNORE}
  return {p for p in mine if any(q not in mine for q in neighbors(p, distance))}


def trimap(label, width):
  """Labeled pixels near another label; void is one, and pixels outside the image are not."""
  return [
    p
    for p in np.ndindex(label.shape)
    if label[p] != IGNORE and any(label[q] != label[p] for q in neighbors(p, width) if inside(label.shape, q))
  ]


def ratio(pairs):
  hits, union = (sum(x) for x in zip(*pairs, strict=True))
  return hits / union if union else None


def mean(values):
  present = [value for value in values if value is not None]
  return sum(present) / len(present)


@pytest.mark.parametrize("seed", range(2))
def test_results_equal_a_count_by_pixels(seed):
  """Class 3 does not occur; some predictions are no class."""
  pairs = []
  for i, example in enumerate(examples(SIZES, CLASSES - 1, seed)):
    label = np.kron(example["label"][::3, ::3], np.ones((3, 3), np.uint8))[: len(example["label"])]
    label = label[:, : example["label"].shape[1]]
    noise = np.random.default_rng(10 * seed + i)
    strange = noise.choice([0, 1, 2, 7, IGNORE], label.shape)
    pairs.append((label, np.where(noise.random(label.shape) < 0.9, np.roll(label, 1, 0), strange)))
  evaluator = SegmentationEvaluator(CLASS_TABLE, 0.1, (1, 2, 5), lenient=True)
  for label, found in pairs:
    evaluator.update(label, found)
  results = evaluator.compute()

  expected = []
  for c in range(CLASSES):
    bands = [(band(x, x, c, d), band(y, x, c, d)) for (x, y), d in zip(pairs, SIZES.values(), strict=True)]
    expected.append(ratio([(len(a & b), len(a | b)) for a, b in bands]))
  assert list(results["per_class_boundary_iou"].values()) == pytest.approx(expected)
  assert results["boundary_iou"] == pytest.approx(mean(expected))
  for width in (1, 2, 5):
    near = [(label[p], found[p]) for label, found in pairs for p in trimap(label, width)]
    ious = [ratio([(x == y == c, c in (x, y)) for x, y in near]) for c in range(CLASSES)]
    assert results["trimap_miou"][str(width)] == pytest.approx(mean(ious))

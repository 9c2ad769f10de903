"""Boundary IoU and trimaps of a whole set, as evaluated, by loops over pixels and their neighbours."""

import itertools

import numpy as np
import pytest

from tests.helpers.evaluation import CLASS_TABLE, examples
from train.data.classes import IGNORE
from train.evaluation.evaluator import SegmentationEvaluator

SIZES = {(6, 8): 1, (8, 15): 2, (20, 21): 3}  # diagonals of 10, 17 and 29 pixels, a tenth of each
CLASSES = 4


def neighbours(pixel, distance):
  """The pixels in the square round one, those outside the image included."""
  steps = range(-distance, distance + 1)
  return [(pixel[0] + i, pixel[1] + j) for i, j in itertools.product(steps, steps)]


def inside(shape, pixel):
  return all(0 <= at < side for at, side in zip(pixel, shape, strict=True))


def band(values, label, c, distance):
  """Pixels of class c, void left out, near one that is none or is outside the image."""
  mine = {p for p in np.ndindex(values.shape) if values[p] == c and label[p] != IGNORE}
  return {p for p in mine if any(q not in mine for q in neighbours(p, distance))}


def trimap(label, width):
  """Labelled pixels near one of another label, which void is, too, and what is outside the image is not."""
  return [
    p
    for p in np.ndindex(label.shape)
    if label[p] != IGNORE
    and any(label[q] != label[p] for q in neighbours(p, width) if inside(label.shape, q))
  ]


def ratio(pairs):
  hits, union = (sum(x) for x in zip(*pairs, strict=True))
  return hits / union if union else None


def mean(values):
  present = [value for value in values if value is not None]
  return sum(present) / len(present)


@pytest.mark.parametrize("seed", range(2))
def test_a_set_pixel_by_pixel(seed):
  """Class 3 is nowhere; what is predicted may be no class."""
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

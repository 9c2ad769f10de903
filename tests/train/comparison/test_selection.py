"""Gains of classes, the selection of images and the box of the largest difference."""

import numpy as np
import pytest

from tests.helpers.evaluation import CLASS_TABLE
from train.comparison.examples import Box, Example
from train.comparison.gains import class_gains
from train.comparison.selection import LargestGains
from train.data.classes import IGNORE


def example(name="a", gain=0.1, label=None, predictions=None, size=(8, 12)):
  zeros = np.zeros(size, np.uint8)
  label = zeros if label is None else label
  return Example(
    name, np.zeros((*size, 3), np.uint8), label, predictions or (zeros, zeros), (0.5, 0.5 + gain)
  )


def test_the_largest_gains_are_selected():
  """Ties are ordered by id; images with only ignored pixels are skipped; the count is never exceeded."""
  chosen = LargestGains(3)
  for name, gain in (("d", 0.1), ("b", 0.2), ("x", np.nan), ("c", 0.1), ("a", -0.5), ("e", 0.3)):
    chosen.add(example(name, gain))
    assert len(chosen.examples()) <= 3
  assert [example.id for example in chosen.examples()] == ["e", "b", "c"]


def test_the_box_is_where_predictions_differ_most():
  label, first, second = (np.zeros((16, 40), np.uint8) for _ in range(3))
  second[10:12, 24:27] = 1
  second[2, 3:8] = 2  # fewer
  label[0:9, 30:40], second[0:9, 30:40] = IGNORE, 3  # more, but ignored
  shown = example(label=label, predictions=(first, second), size=label.shape)
  box = shown.difference_box()
  assert (box.height, box.width) == (4, 10)
  assert box.crop(second).tolist() == second[box.top : box.top + 4, box.left : box.left + 10].tolist()
  assert (box.crop(second) == 1).sum() == 6
  assert abs(box.top + 2 - 11) <= 1  # centered
  assert abs(box.left + 5 - 25.5) <= 1
  assert example().difference_box() is None


def test_no_other_box_holds_more_differences():
  draw = np.random.default_rng(0)
  label = np.where(draw.random((21, 30)) < 0.2, IGNORE, 0).astype(np.uint8)
  first, second = draw.integers(0, 2, (2, 21, 30)).astype(np.uint8)
  box = example(label=label, predictions=(first, second), size=label.shape).difference_box()
  differ = (first != second) & (label != IGNORE)
  assert box[2:] == (5, 8)
  counts = [differ[y : y + 5, x : x + 8].sum() for y in range(17) for x in range(23)]
  assert box.crop(differ).sum() == max(counts)


def test_a_box_crops_an_image():
  assert Box(1, 2, 2, 3).crop(np.arange(20).reshape(4, 5)).tolist() == [[7, 8, 9], [12, 13, 14]]


def test_gains_of_absent_classes_and_ties():
  """Sky occurs nowhere and car is only predicted: neither has a gain. Ties are in the table's order."""
  first = np.array([[6, 2, 0, 0], [2, 6, 0, 0], [0] * 4, [0] * 4])
  second = np.array([[7, 0, 0, 1], [0, 7, 0, 1], [0] * 4, [0] * 4])
  present, absent = class_gains(first, second, CLASS_TABLE)
  assert [row.name for row in present] == ["road", "pole"]
  assert [row.gain for row in present] == pytest.approx([100 * (7 / 8 - 6 / 10)] * 2)
  assert absent == ["sky", "car"]
  with pytest.raises(ValueError, match="the two evaluations are of different labels"):
    class_gains(first, 2 * second, CLASS_TABLE)

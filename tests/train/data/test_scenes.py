"""Generated street scenes: random access, shapes, labels, class shares and difficulty."""

import hashlib
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from train.data.classes import IGNORE
from train.data.datasets.scenes import SCENES, Scenes, mark_borders

ROOT = pathlib.Path(__file__).parents[3]
# Of the labels of example 3 of seed 7: trained weights and published numbers depend on them.
DIGEST = "b590fcea7fec49b0"


def digest(array):
  return hashlib.sha256(array.tobytes()).hexdigest()[:16]


@pytest.fixture(scope="module")
def examples():
  source = Scenes(50, seed=7)
  return [source[i] for i in range(50)]


@pytest.fixture(scope="module")
def labels(examples):
  return np.stack([example["label"] for example in examples])


def color_codes(examples):
  """Quantizes RGB to 4096 colors, `[N, H, W]`."""
  images = np.stack([example["image"] for example in examples]).astype(np.int64) // 16
  return images @ np.array([256, 16, 1])


def test_class_table_has_five_thin_classes():
  assert SCENES.num_classes == 9
  assert [SCENES.names[k] for k in SCENES.thin] == ["pole", "wire", "fence", "sign", "pedestrian"]
  assert all(row.raw_id == row.train_id for row in SCENES.rows)
  assert len({row.color for row in SCENES.rows}) == 10


@pytest.mark.parametrize("size", [(96, 128), (64, 64), (180, 240), (32, 33)])
def test_shapes_and_dtypes(size):
  example = Scenes(2, seed=0, size=size)[1]
  assert example["image"].dtype == example["label"].dtype == np.uint8
  assert example["image"].shape == (*size, 3)
  assert example["label"].shape == size
  assert set(np.unique(example["label"])) <= {*range(SCENES.num_classes), IGNORE}


def test_ids_are_distinct(examples):
  ids = {example["id"] for example in examples} | {Scenes(1, seed=8)[0]["id"]}
  assert len(ids) == 51
  assert all(isinstance(name, str) for name in ids)


def test_example_depends_only_on_seed_and_index(examples):
  source = Scenes(1000, seed=7)
  for i in (31, 3, np.int64(31), 0):
    np.testing.assert_array_equal(source[i]["image"], examples[i]["image"])
    np.testing.assert_array_equal(source[i]["label"], examples[i]["label"])
    assert source[i]["id"] == examples[i]["id"]


def test_another_process_generates_the_same_scenes(examples):
  code = (
    "import hashlib; from train.data.datasets.scenes import Scenes; e = Scenes(4, seed=7)[3]\n"
    "for k in ('image', 'label'): print(hashlib.sha256(e[k].tobytes()).hexdigest()[:16])"
  )
  printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
  assert printed.stdout.split() == [digest(examples[3]["image"]), digest(examples[3]["label"])]


def test_labels_are_unchanged(examples):
  assert digest(examples[3]["label"]) == DIGEST


def test_seeds_and_indices_give_different_scenes(examples):
  other = Scenes(50, seed=8)
  for i in range(5):
    assert (other[i]["label"] != examples[i]["label"]).mean() > 0.05
    assert (examples[i + 1]["label"] != examples[i]["label"]).mean() > 0.05


def test_class_shares_are_in_their_ranges(labels):
  shares = np.bincount(labels.ravel(), minlength=256) / labels.size
  large = np.setdiff1d(range(SCENES.num_classes), SCENES.thin)
  assert (shares[large] > 0.03).all()
  assert (shares[large] < 0.5).all()
  assert (shares[list(SCENES.thin)] > 0.005).all()
  assert (shares[list(SCENES.thin)] < 0.05).all()
  assert 0.02 < shares[IGNORE] < 0.12


@pytest.mark.parametrize("thin", SCENES.thin)
def test_thin_classes_are_in_most_images(labels, thin):
  assert ((labels == thin).sum((1, 2)) >= 20).mean() > 0.7


@pytest.mark.parametrize("name", ["pole", "wire"])
def test_poles_and_wires_are_thin(labels, name):
  """Few pixels are at the center of five of the class both in a row and in a column."""
  mask = labels == SCENES.names.index(name)
  inner = [np.roll(mask, shift, axis) for axis in (1, 2) for shift in (-2, -1, 1, 2)]
  assert (mask & np.logical_and.reduce(inner)).sum() < 0.02 * mask.sum()


def test_borders_between_large_classes_are_void():
  label = np.array([[0, 0, 2, 2], [0, 0, 2, 2], [1, 1, 1, 1]], np.uint8)
  expected = [[0, 255, 2, 2], [255, 255, 255, 255], [1, 1, 1, 1]]
  np.testing.assert_array_equal(mark_borders(label), expected)


def test_borders_leave_thin_structures_whole():
  label = np.array([[0, 0, 4, 0, 0], [0, 0, 4, 5, 5], [1, 1, 4, 1, 1]], np.uint8)
  expected = [[0, 255, 4, 255, 255], [255, 255, 4, 5, 5], [1, 255, 4, 255, 255]]
  np.testing.assert_array_equal(mark_borders(label), expected)


def test_no_large_classes_touch(labels):
  large = np.isin(labels, np.setdiff1d(range(SCENES.num_classes), SCENES.thin))
  for first, second in ((np.s_[:, :, :-1], np.s_[:, :, 1:]), (np.s_[:, :-1], np.s_[:, 1:])):
    touching = large[first] & large[second] & (labels[first] != labels[second])
    assert not touching.any()


@pytest.mark.parametrize("power", [0, 0.5, 1])
def test_color_alone_does_not_determine_the_class(examples, labels, power):
  """Predicts the best class of each color, weighting classes by their share to the power 1 - `power`."""
  held_out = [Scenes(30, seed=8)[i] for i in range(30)]
  truth = np.stack([example["label"] for example in held_out])
  counts = np.zeros((4096, 256))
  np.add.at(counts, (color_codes(examples), labels), 1)
  counts = counts[:, : SCENES.num_classes]
  guess = (counts / counts.sum(0) ** power).argmax(1)[color_codes(held_out)]
  guess[truth == IGNORE] = IGNORE
  both = [((guess == k) & (truth == k)).sum() for k in range(SCENES.num_classes)]
  either = [((guess == k) | (truth == k)).sum() for k in range(SCENES.num_classes)]
  assert 0.1 < np.mean(np.divide(both, either)) < 0.35


@pytest.mark.parametrize("i", [-1, 5, 100])
def test_index_out_of_range_is_rejected(i):
  with pytest.raises(IndexError, match=rf"expected 0\.\.4, got {i}"):
    Scenes(5, seed=0)[i]


def test_iteration_ends():
  assert len(list(Scenes(3, seed=0))) == len(Scenes(3, seed=0)) == 3


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ({"count": 0}, "count: expected at least 1, got 0"),
    ({"seed": -1}, "seed: expected 0 or more, got -1"),
    ({"size": (31, 64)}, r"size: expected .* at least 32 each, got \(31, 64\)"),
    ({"size": (64,)}, r"size: expected .* got \(64,\)"),
  ],
)
def test_invalid_arguments_are_rejected(arguments, message):
  with pytest.raises(ValueError, match=message):
    Scenes(**{"count": 1, "seed": 0, **arguments})

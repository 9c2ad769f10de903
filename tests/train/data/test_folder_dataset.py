"""A user's folder: the class file, prepared arrays, and errors for invalid files."""

import re

import numpy as np
import pytest

from tests.helpers.datasets import assert_rejected, examples, pixels, raw_label, save
from train.data.class_files import read_classes
from train.data.classes import IGNORE
from train.data.registry import get_dataset
from train.prepare import prepare

CLASSES = """name,raw_id,train_id,r,g,b,thin
soil,1,0,120,80,40,0
stem,7,1,0,255,0,1
unsure,255,ignore,9,9,9,0
"""
VALUES = np.array([1, 7, 255], np.uint8)


@pytest.fixture
def source(tmp_path):
  root = tmp_path / "source"
  for i, name in enumerate(("train/a.png", "train/field/b.png", "train/other/b.png", "val/c.png")):
    save(root / "images" / name, pixels(i))
    save(root / "labels" / name, raw_label(i, VALUES))
  (root / "classes.csv").write_text(CLASSES)
  return root


def test_prepared_arrays_equal_the_files(source, tmp_path):
  save(source / "images" / "test" / "d.jpg", pixels(9))
  prepare("folder", str(source), str(tmp_path / "data"))
  found = examples("folder", "train", tmp_path / "data")
  assert set(found) == {"a", "field/b", "other/b"}
  for i, name in enumerate(("a", "field/b", "other/b")):
    expected = np.select([raw_label(i, VALUES) == 1, raw_label(i, VALUES) == 7], [0, 1], IGNORE)
    np.testing.assert_array_equal(found[name]["label"], expected)
    np.testing.assert_array_equal(found[name]["image"], pixels(i))
  assert "label" not in examples("folder", "test", tmp_path / "data")["d"]


def test_class_table_is_stored_with_the_examples(source, tmp_path):
  prepare("folder", str(source), str(tmp_path / "data"))
  (source / "classes.csv").unlink()
  table = get_dataset("folder").class_table(dir=str(tmp_path / "data"))
  assert table.names == ("soil", "stem")
  assert table.thin == (1,)
  assert table.palette()[[0, 1, 255]].tolist() == [[120, 80, 40], [0, 255, 0], [9, 9, 9]]
  assert table.to_raw_ids(np.array([0, 1])).tolist() == [1, 7]


def test_class_table_requires_a_prepared_folder(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"python -m train\.prepare folder --source DIR"):
    get_dataset("folder").class_table(dir=str(tmp_path))


def test_changed_classes_are_rejected(source, tmp_path):
  prepare("folder", str(source), str(tmp_path / "data"))
  (source / "classes.csv").write_text(CLASSES.replace("stem", "root"))
  with pytest.raises(ValueError, match="prepared from other files"):
    prepare("folder", str(source), str(tmp_path / "data"))


@pytest.mark.parametrize(
  ("old", "new", "says"),
  [
    ("train_id", "class", r"classes\.csv:1: expected the columns .* got no train_id"),
    ("stem,7", "stem,256", r"classes\.csv:3: expected an integer in 0\.\.255, got '256'"),
    ("stem,7", "stem,-7", r"classes\.csv:3: expected an integer in 0\.\.255, got '-7'"),
    ("stem,7,1", "stem,7,void", r"classes\.csv:3: expected an integer in 0\.\.254, got 'void'"),
    ("stem,7,1", "stem,7,2", r"classes\.csv: train ids: expected 0\.\.K-1, got \[0, 2\]"),
    ("stem,7", "stem,1", r"classes\.csv: raw ids: expected each once"),
    ("stem", "soil", r"classes\.csv: expected unique class names, got 'soil' twice"),
    ("7,1,0,255,0,1", "7,1", r"classes\.csv:3: "),
    ("stem,7,1,0,255,0,1\n", "", r"classes\.csv: expected two classes or more, got 1"),
  ],
)
def test_invalid_class_file_is_rejected(source, tmp_path, old, new, says):
  assert old in CLASSES
  (source / "classes.csv").write_text(CLASSES.replace(old, new))
  assert_rejected("folder", source, tmp_path / "data", says)


def test_thin_column_is_optional(tmp_path):
  lines = [line.rpartition(",")[0] for line in CLASSES.splitlines()]
  (tmp_path / "classes.csv").write_text("\n".join(lines))
  assert read_classes(tmp_path / "classes.csv").thin == ()


@pytest.mark.parametrize("name", ["labels/train/field/b.png", "labels/val/c.png"])
def test_missing_label_is_rejected(source, tmp_path, name):
  (source / name).unlink()
  assert_rejected("folder", source, tmp_path / "data", re.escape(f"{source / name}: no such file"))


def test_label_without_image_is_rejected(source, tmp_path):
  (source / "images/train/a.png").unlink()
  assert_rejected("folder", source, tmp_path / "data", r"labels/train/a\.png: there is no image of that name")


def test_duplicate_image_name_is_rejected(source, tmp_path):
  save(source / "images/train/a.jpg", pixels(0))
  assert_rejected("folder", source, tmp_path / "data", r"train/a\.png: duplicate id a, in train and in train")


def test_folder_of_another_layout_is_rejected(tmp_path):
  assert_rejected("folder", tmp_path, tmp_path / "data", "expected images/train", FileNotFoundError)


def test_missing_class_file_is_rejected(source, tmp_path):
  (source / "classes.csv").unlink()
  assert_rejected(
    "folder", source, tmp_path / "data", r"classes\.csv: no such file; it must list", FileNotFoundError
  )

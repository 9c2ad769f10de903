"""Cityscapes: the class table, folders and zips, and errors for invalid ones."""

import re
import zipfile

import numpy as np
import pytest

from tests.helpers.datasets import (
  SIZE,
  assert_rejected,
  examples,
  pixels,
  raw_label,
  save,
  set_counts,
  write_cityscapes,
  write_zip,
)
from train.data.classes import IGNORE
from train.data.datasets.cityscapes import Cityscapes
from train.data.datasets.cityscapes_classes import CITYSCAPES
from train.prepare import prepare

COUNTS = {"train": 3, "val": 2, "test": 1}
EVALUATED = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]


@pytest.fixture
def source(tmp_path, monkeypatch):
  set_counts(monkeypatch, "cityscapes", COUNTS, SIZE)
  return write_cityscapes(tmp_path / "source", {"train": [1, 2, 3], "val": [4, 5], "test": [6]})


def write_zips(source, folder):
  folder.mkdir()
  for name in ("leftImg8bit", "gtFine"):
    write_zip(folder / f"{name}_trainvaltest.zip", source / name, name)
  return folder


def frame(number):
  return f"ulm_{number:06d}_000019"


def label_of(source, split, number):
  return source / "gtFine" / split / "ulm" / f"{frame(number)}_gtFine_labelIds.png"


def image_of(source, split, number):
  return source / "leftImg8bit" / split / "ulm" / f"{frame(number)}_leftImg8bit.png"


class TestClasses:
  def test_classes_are_the_published_ones(self):
    assert CITYSCAPES.num_classes == 19
    expected = [EVALUATED.index(i) if i in EVALUATED else IGNORE for i in range(34)]
    np.testing.assert_array_equal(CITYSCAPES.to_train_ids(np.arange(34), "x"), expected)
    np.testing.assert_array_equal(CITYSCAPES.to_raw_ids(np.arange(19)), EVALUATED)
    assert [CITYSCAPES.names[k] for k in (0, 5, 18)] == ["road", "pole", "bicycle"]
    assert CITYSCAPES.palette()[[0, 5, 13, 18, 255]].tolist() == [
      [128, 64, 128],
      [153, 153, 153],
      [0, 0, 142],
      [119, 11, 32],
      [0, 0, 0],
    ]

  def test_classes_equal_cityscapesscripts(self):
    labels = pytest.importorskip("cityscapesscripts.helpers.labels").labels
    published = {row.id: (row.name, row.trainId, row.color) for row in labels if row.id >= 0}
    assert {row.raw_id: (row.name, row.train_id, row.color) for row in CITYSCAPES.rows} == published

  def test_counts_and_size_are_the_published_ones(self):
    assert Cityscapes.COUNTS == {"train": 2975, "val": 500, "test": 1525}
    assert Cityscapes.IMAGE_SIZE == (1024, 2048)


class TestLayouts:
  @pytest.mark.parametrize("zipped", [False, True])
  def test_prepared_arrays_equal_the_files(self, source, tmp_path, zipped):
    files = write_zips(source, tmp_path / "zips") if zipped else source
    prepare("cityscapes", str(files), str(tmp_path / "data"))
    for split, numbers in {"train": [1, 2, 3], "val": [4, 5]}.items():
      found = examples("cityscapes", split, tmp_path / "data")
      assert set(found) == {frame(number) for number in numbers}
      for number in numbers:
        raw = raw_label(number, np.arange(34))
        expected = [EVALUATED.index(i) if i in EVALUATED else IGNORE for i in raw.ravel().tolist()]
        np.testing.assert_array_equal(found[frame(number)]["label"].ravel(), expected)
        np.testing.assert_array_equal(found[frame(number)]["image"], pixels(number))

  def test_test_split_has_no_labels(self, source, tmp_path):
    prepare("cityscapes", str(source), str(tmp_path / "data"))
    example = examples("cityscapes", "test", tmp_path / "data")[frame(6)]
    assert set(example) == {"id", "image"}
    with pytest.raises(ValueError, match="the split 'test' has no labels"):
      example["label"]


class TestErrors:
  def test_labels_zip_named_as_images_is_rejected(self, source, tmp_path):
    zips = write_zips(source, tmp_path / "zips")
    (zips / "leftImg8bit_trainvaltest.zip").write_bytes((zips / "gtFine_trainvaltest.zip").read_bytes())
    assert_rejected(
      "cityscapes", zips, tmp_path / "data", r"leftImg8bit_trainvaltest\.zip: expected .*another archive"
    )

  def test_swapped_folders_are_rejected(self, source, tmp_path):
    (source / "gtFine").rename(source / "x")
    (source / "leftImg8bit").rename(source / "gtFine")
    (source / "x").rename(source / "leftImg8bit")
    assert_rejected(
      "cityscapes", source, tmp_path / "data", r"leftImg8bit: expected .*found none; it is another"
    )

  @pytest.mark.parametrize(
    "name", ["../evil.png", "/evil.png", "C:\\evil.png", "leftImg8bit\\..\\..\\evil.png"]
  )
  def test_zip_with_escaping_path_is_rejected(self, source, tmp_path, name):
    zips = write_zips(source, tmp_path / "zips")
    with zipfile.ZipFile(zips / "gtFine_trainvaltest.zip", "a") as file:
      file.writestr(name, b"")
    assert_rejected(
      "cityscapes", zips, tmp_path / "data", r"gtFine_trainvaltest\.zip: the path of the member .* escapes"
    )

  def test_truncated_zip_is_rejected(self, source, tmp_path):
    zips = write_zips(source, tmp_path / "zips")
    whole = (zips / "gtFine_trainvaltest.zip").read_bytes()
    (zips / "gtFine_trainvaltest.zip").write_bytes(whole[: len(whole) // 2])
    assert_rejected(
      "cityscapes", zips, tmp_path / "data", r"gtFine_trainvaltest\.zip: not a readable archive"
    )

  def test_corrupt_zip_member_is_named(self, source, tmp_path):
    zips = write_zips(source, tmp_path / "zips")
    archive = zips / "leftImg8bit_trainvaltest.zip"
    content = image_of(source, "val", 5).read_bytes()
    assert archive.read_bytes().count(content) == 1
    archive.write_bytes(archive.read_bytes().replace(content, content[:-50] + bytes(50)))
    assert_rejected("cityscapes", zips, tmp_path / "data", rf"{frame(5)}_leftImg8bit\.png: corrupt .*CRC")

  def test_labels_with_train_ids_are_rejected(self, source, tmp_path):
    file = save(label_of(source, "val", 4), raw_label(4, np.array([*range(19), 255], np.uint8)))
    assert_rejected(
      "cityscapes",
      source,
      tmp_path / "data",
      re.escape(f"{file}: label 255 is not in the table (it has 0..33)"),
    )

  def test_image_of_another_size_is_rejected(self, source, tmp_path):
    image = save(image_of(source, "train", 2), pixels(2, (6, 8)))
    save(label_of(source, "train", 2), raw_label(2, np.arange(34, dtype=np.uint8), (6, 8)))
    assert_rejected("cityscapes", source, tmp_path / "data", re.escape(f"{image}: expected 16x12, got 8x6"))

  def test_label_without_image_is_rejected(self, source, tmp_path):
    image_of(source, "train", 2).unlink()
    assert_rejected(
      "cityscapes",
      source,
      tmp_path / "data",
      rf"(?s)2 problems .*train: 2 of 3 images.*{frame(2)}_gtFine_labelIds\.png: there is no image",
    )

  def test_folder_of_another_layout_is_rejected(self, source, tmp_path):
    assert_rejected(
      "cityscapes",
      source / "gtFine",
      tmp_path / "data",
      "expected the folder leftImg8bit, or leftImg8bit_trainvaltest.zip",
      FileNotFoundError,
    )

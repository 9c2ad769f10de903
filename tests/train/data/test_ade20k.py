"""ADE20K SceneParsing: its 150 classes, folder and zip, and the genuine sample."""

import csv
import re
import shutil

import numpy as np
import pytest
import scipy.io
from PIL import Image

from tests.helpers.assets import ASSETS, needs
from tests.helpers.datasets import (
  assert_rejected,
  examples,
  raw_label,
  save,
  set_counts,
  voc_palette,
  write_ade20k,
  write_zip,
)
from train.data.classes import IGNORE
from train.data.datasets.ade20k import Ade20k
from train.data.datasets.ade20k_classes import ADE20K
from train.prepare import prepare


@pytest.fixture
def source(tmp_path, monkeypatch):
  set_counts(monkeypatch, "ade20k", {"train": 3, "val": 2})
  write_ade20k(tmp_path / "source" / "ADEChallengeData2016", {"train": 3, "val": 2})
  return tmp_path / "source"


class TestClasses:
  def test_raw_id_0_is_ignored(self):
    mapped = ADE20K.to_train_ids(np.arange(151), "x")
    np.testing.assert_array_equal(mapped, [IGNORE, *range(150)])
    assert ADE20K.num_classes == 150
    assert "pole" in [ADE20K.names[k] for k in ADE20K.thin]

  def test_counts_are_the_published_ones(self):
    assert Ade20k.COUNTS == {"train": 20210, "val": 2000}

  @needs("ade20k_sample")
  def test_names_and_colors_equal_the_publishers_files(self):
    with (ASSETS / "ade20k_sample" / "objectInfo150.csv").open() as file:
      assert [row["Name"] for row in csv.DictReader(file)] == list(ADE20K.names)
    colors = scipy.io.loadmat(ASSETS / "ade20k_sample" / "color150.mat")["colors"]
    np.testing.assert_array_equal(ADE20K.palette()[:150], colors)


@pytest.mark.parametrize("layout", ["folder", "inside", "zip"])
def test_prepared_labels_equal_the_files(source, tmp_path, layout):
  inside = source / "ADEChallengeData2016"
  files = {"folder": source, "inside": inside, "zip": tmp_path / "zip"}[layout]
  if layout == "zip":
    files.mkdir()
    write_zip(files / "ADEChallengeData2016.zip", inside, "ADEChallengeData2016")
  prepare("ade20k", str(files), str(tmp_path / "data"))
  for split, count in {"train": 3, "val": 2}.items():
    found = examples("ade20k", split, tmp_path / "data")
    assert set(found) == {f"ADE_{split}_{i:08d}" for i in range(count)}
    for i in range(count):
      expected = (raw_label(i, np.arange(151, dtype=np.uint8)) - 1).astype(np.uint8)  # 0 wraps to 255
      np.testing.assert_array_equal(found[f"ADE_{split}_{i:08d}"]["label"], expected)


@needs("ade20k_sample")
def test_prepared_genuine_labels_equal_the_files(tmp_path):
  sample = ASSETS / "ade20k_sample"
  for part, kind in (("images", "jpg"), ("annotations", "png")):
    folder = tmp_path / "ADEChallengeData2016" / part / "validation"
    folder.mkdir(parents=True)
    for file in (sample / part).glob(f"*.{kind}"):
      shutil.copy(file, folder)
  prepare("ade20k", str(tmp_path), str(tmp_path / "data"), partial=True)
  found = examples("ade20k", "val", tmp_path / "data")
  assert len(found) == 3
  for name, example in found.items():
    label = np.asarray(Image.open(sample / "annotations" / f"{name}.png"))
    np.testing.assert_array_equal(example["label"], np.where(label == 0, IGNORE, label.astype(int) - 1))
    np.testing.assert_array_equal(example["image"], np.asarray(Image.open(sample / "images" / f"{name}.jpg")))


class TestErrors:
  def label(self, source):
    return source / "ADEChallengeData2016" / "annotations" / "validation" / "ADE_val_00000001.png"

  @pytest.mark.parametrize("value", [151, 255])
  def test_unknown_label_value_is_rejected(self, source, tmp_path, value):
    label = raw_label(1, np.arange(151, dtype=np.uint8))
    label[0, 0] = value
    file = save(self.label(source), label)
    assert_rejected(
      "ade20k",
      source,
      tmp_path / "data",
      re.escape(f"{file}: label {value} is not in the table (it has 0..150)"),
    )

  def test_palette_label_is_rejected(self, source, tmp_path):
    """VOC's label values are also ids of ADE20K, but only VOC's labels have a palette."""
    file = save(self.label(source), raw_label(1, np.arange(21, dtype=np.uint8)), voc_palette())
    assert_rejected(
      "ade20k", source, tmp_path / "data", re.escape(f"{file}: expected") + r".*\(mode L\), got mode P"
    )

  def test_missing_label_is_rejected(self, source, tmp_path):
    self.label(source).unlink()
    assert_rejected("ade20k", source, tmp_path / "data", r"ADE_val_00000001\.png: no such file")

  def test_label_without_image_is_rejected(self, source, tmp_path):
    save(self.label(source).with_name("ADE_val_00000009.png"), raw_label(1, np.arange(9, dtype=np.uint8)))
    assert_rejected("ade20k", source, tmp_path / "data", r"ADE_val_00000009\.png: there is no image")

  def test_incomplete_split_is_rejected(self, source, tmp_path, monkeypatch):
    set_counts(monkeypatch, "ade20k", {"train": 3, "val": 4})
    assert_rejected("ade20k", source, tmp_path / "data", r"^val: 2 of 4 images; --partial")

  def test_another_zip_is_rejected(self, source, tmp_path):
    (tmp_path / "zip").mkdir()
    archive = write_zip(tmp_path / "zip" / "ADEChallengeData2016.zip", source, "other")
    assert_rejected(
      "ade20k", tmp_path / "zip", tmp_path / "data", re.escape(f"{archive}: expected") + ".*another archive"
    )

  def test_empty_folders_are_rejected(self, tmp_path):
    (tmp_path / "images" / "training").mkdir(parents=True)
    assert_rejected(
      "ade20k",
      tmp_path,
      tmp_path / "data",
      "it contains no images of ade20k",
      FileNotFoundError,
      partial=True,
    )

  def test_folder_of_another_layout_is_rejected(self, tmp_path):
    assert_rejected(
      "ade20k", tmp_path, tmp_path / "data", "expected ADEChallengeData2016/images", FileNotFoundError
    )

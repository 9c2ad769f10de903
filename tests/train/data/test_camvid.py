"""CamVid in SegNet's layout, and the real files."""

import numpy as np
import pytest
from PIL import Image

from tests.helpers.assets import needs
from tests.helpers.camvid import (
  REAL,
  camvid_train_ids,
  raw_label,
  write_lists,
)
from tests.helpers.datasets import examples, pixels
from train.data.datasets.camvid import Camvid, segnet_split
from train.data.datasets.camvid_classes import CAMVID
from train.data.preparation.samples import encode
from train.data.registry import open_prepared
from train.prepare import prepare


class TestSegnetLayout:
  @pytest.mark.parametrize("prefix", ["", "/SegNet/CamVid/"])
  def test_prepared_arrays_equal_the_files(self, tmp_path, capfd, prefix):
    counts = {"train": range(5), "val": [10, 11], "test": [20]}
    source = write_lists(tmp_path / "source", counts, prefix)
    prepare("camvid", str(source), str(tmp_path / "data"))
    for split, numbers in counts.items():
      found = examples("camvid", split, tmp_path / "data")
      assert set(found) == {str(number) for number in numbers}
      for number in numbers:
        example = found[str(number)]
        assert example["image"].dtype == example["label"].dtype == np.uint8
        np.testing.assert_array_equal(example["image"], pixels(number))
        np.testing.assert_array_equal(example["label"], camvid_train_ids(raw_label(number)))
    out, err = capfd.readouterr()
    assert "train: 5 images\nval: 2 images\ntest: 1 images\n" in out
    assert err == ""  # neither TFDS's bars nor its advice

  def test_examples_have_random_access(self, camvid_source, tmp_path):
    prepare("camvid", str(camvid_source), str(tmp_path / "data"))
    opened = open_prepared("camvid", "train", str(tmp_path / "data"))
    assert len(opened) == 3
    ids = [opened[i]["id"] for i in (2, 0, 1)]
    assert [opened[i]["id"] for i in (0, 1, 2)] == [ids[1], ids[2], ids[0]]
    for i in (3, -1):
      with pytest.raises(IndexError, match=f"expected 0..2, got {i}"):
        opened[i]

  def test_palette_label_is_read_as_indices(self, camvid_source, tmp_path):
    label = Image.fromarray(raw_label(1))
    label.putpalette([255 - k for k in range(36)])
    assert label.mode == "P"
    label.save(camvid_source / "trainannot" / "1.png")
    prepare("camvid", str(camvid_source), str(tmp_path / "data"))
    np.testing.assert_array_equal(
      examples("camvid", "train", tmp_path / "data")["1"]["label"], camvid_train_ids(raw_label(1))
    )

  @pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
  def test_image_of_another_mode_is_read_as_rgb(self, camvid_source, tmp_path, mode):
    image = Image.fromarray(pixels(1)).convert(mode)
    image.save(camvid_source / "train" / "1.png")
    prepare("camvid", str(camvid_source), str(tmp_path / "data"))
    np.testing.assert_array_equal(
      examples("camvid", "train", tmp_path / "data")["1"]["image"], np.asarray(image.convert("RGB"))
    )

  def test_jpeg_is_stored_unchanged(self, camvid_source, tmp_path):
    Image.fromarray(pixels(1)).save(camvid_source / "train" / "1.jpg")
    (camvid_source / "train.txt").write_text("train/1.jpg trainannot/1.png\n")
    prepare("camvid", str(camvid_source), str(tmp_path / "data"))
    np.testing.assert_array_equal(
      examples("camvid", "train", tmp_path / "data")["1"]["image"],
      np.asarray(Image.open(camvid_source / "train" / "1.jpg")),
    )
    image, _ = encode(Camvid.scan(camvid_source).splits["train"][0], CAMVID)
    assert image == str(camvid_source / "train" / "1.jpg")


@pytest.fixture(scope="module")
def real_folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("camvid")
  prepare("camvid", str(REAL), str(folder))
  return folder


@needs("camvid")
class TestRealCamvid:
  def test_counts_are_segnets(self, real_folder):
    assert [len(open_prepared("camvid", split, str(real_folder))) for split in ("train", "val")] == [367, 101]

  def test_prepared_arrays_equal_the_files(self, real_folder):
    opened = open_prepared("camvid", "train", str(real_folder))
    for i in (0, 91, 183, 274, 366):
      example = opened[i]
      raw = np.asarray(Image.open(REAL / "trainannot" / f"{example['id']}.png"))
      np.testing.assert_array_equal(example["label"], camvid_train_ids(raw))
      image = np.asarray(Image.open(REAL / "train" / f"{example['id']}.jpg"))
      np.testing.assert_array_equal(example["image"], image)

  def test_split_rule_equals_segnets_lists(self):
    for split, samples in Camvid.scan(REAL).splits.items():
      assert {segnet_split(sample.id) for sample in samples} == {split}

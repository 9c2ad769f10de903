"""CamVid: the classes, both layouts and the real files."""

import re

import numpy as np
import pytest
from PIL import Image

from tests.helpers.assets import needs
from tests.helpers.camvid import (
  PUBLISHED,
  REAL,
  assert_not_prepared,
  camvid_train_ids,
  raw_label,
  write_lists,
)
from tests.helpers.datasets import SIZE, examples, pixels, save
from train.data.classes import IGNORE, ClassTable, LabelClass
from train.data.datasets.camvid import Camvid, colors_to_raw_ids, segnet_split
from train.data.datasets.camvid_classes import CAMVID, OFFICIAL_COLORS
from train.data.preparation.samples import encode
from train.data.registry import get_dataset, open_prepared
from train.prepare import prepare


@pytest.fixture
def source(tmp_path):
  return write_lists(tmp_path / "source", {"train": range(3), "val": [7]})


class TestClasses:
  def test_class_names_and_thin_classes(self):
    assert CAMVID.num_classes == 11
    assert CAMVID.names == tuple(PUBLISHED)[:11]
    assert [CAMVID.names[k] for k in CAMVID.thin] == [
      "Pole",
      "SignSymbol",
      "Fence",
      "Pedestrian",
      "Bicyclist",
    ]

  def test_palette_has_segnets_colors(self):
    palette = CAMVID.palette()
    assert palette.dtype == np.uint8
    assert palette.shape == (256, 3)
    colors = [(128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (0, 0, 192), (128, 128, 0),
               (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192)]  # fmt: skip
    assert [tuple(color) for color in palette[:11].tolist()] == colors
    assert not palette[11:].any()

  def test_official_colors_equal_the_published_table(self):
    names = [row.name for row in sorted(CAMVID.rows, key=lambda row: row.raw_id)]
    published = {color: names.index(name) for name, parts in PUBLISHED.items() for color in parts.values()}
    assert len(published) == 32
    assert published == OFFICIAL_COLORS

  def test_every_official_color_has_a_raw_id(self):
    colors = np.array(list(OFFICIAL_COLORS), np.uint8).reshape(4, 8, 3)
    expected = np.array(list(OFFICIAL_COLORS.values()), np.uint8).reshape(4, 8)
    np.testing.assert_array_equal(colors_to_raw_ids(colors, "x"), expected)

  def test_raw_ids_map_to_train_ids(self):
    mapped = CAMVID.to_train_ids(np.arange(12).reshape(3, 4), "x")
    assert mapped.dtype == np.uint8
    np.testing.assert_array_equal(mapped.ravel(), [*range(11), IGNORE])

  @pytest.mark.parametrize("value", [12, 200, 255])
  def test_unknown_raw_id_is_rejected(self, value):
    with pytest.raises(ValueError, match=rf"some\.png: label {value} is not"):
      CAMVID.to_train_ids(np.array([[0, value]], np.uint8), "some.png")

  def test_duplicate_raw_ids_are_rejected(self):
    rows = [LabelClass("a", 3, 0, (0, 0, 0)), LabelClass("b", 3, 1, (1, 1, 1))]
    with pytest.raises(ValueError, match=r"raw ids: .*\[3, 3\]"):
      ClassTable(rows)

  @pytest.mark.parametrize("ids", [(0, 2), (1, 2), (0, 0)])
  def test_gaps_in_train_ids_are_rejected(self, ids):
    rows = [LabelClass(str(raw), raw, train, (0, 0, 0)) for raw, train in enumerate(ids)]
    with pytest.raises(ValueError, match=re.escape(f"train ids: expected 0..K-1, got {list(ids)}")):
      ClassTable(rows)

  def test_registry_has_the_table(self):
    assert get_dataset("camvid").table is CAMVID
    with pytest.raises(ValueError, match="did you mean 'camvid'"):
      get_dataset("camvit")


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

  def test_examples_have_random_access(self, source, tmp_path):
    prepare("camvid", str(source), str(tmp_path / "data"))
    opened = open_prepared("camvid", "train", str(tmp_path / "data"))
    assert len(opened) == 3
    ids = [opened[i]["id"] for i in (2, 0, 1)]
    assert [opened[i]["id"] for i in (0, 1, 2)] == [ids[1], ids[2], ids[0]]
    for i in (3, -1):
      with pytest.raises(IndexError, match=f"expected 0..2, got {i}"):
        opened[i]

  def test_palette_label_is_read_as_indices(self, source, tmp_path):
    label = Image.fromarray(raw_label(1))
    label.putpalette([255 - k for k in range(36)])
    assert label.mode == "P"
    label.save(source / "trainannot" / "1.png")
    prepare("camvid", str(source), str(tmp_path / "data"))
    np.testing.assert_array_equal(
      examples("camvid", "train", tmp_path / "data")["1"]["label"], camvid_train_ids(raw_label(1))
    )

  @pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
  def test_image_of_another_mode_is_read_as_rgb(self, source, tmp_path, mode):
    image = Image.fromarray(pixels(1)).convert(mode)
    image.save(source / "train" / "1.png")
    prepare("camvid", str(source), str(tmp_path / "data"))
    np.testing.assert_array_equal(
      examples("camvid", "train", tmp_path / "data")["1"]["image"], np.asarray(image.convert("RGB"))
    )

  def test_jpeg_is_stored_unchanged(self, source, tmp_path):
    Image.fromarray(pixels(1)).save(source / "train" / "1.jpg")
    (source / "train.txt").write_text("train/1.jpg trainannot/1.png\n")
    prepare("camvid", str(source), str(tmp_path / "data"))
    np.testing.assert_array_equal(
      examples("camvid", "train", tmp_path / "data")["1"]["image"],
      np.asarray(Image.open(source / "train" / "1.jpg")),
    )
    image, _ = encode(Camvid.scan(source).splits["train"][0], CAMVID)
    assert image == str(source / "train" / "1.jpg")


class TestOfficialLayout:
  NAMES = (
    "0001TP_006690",
    "0001TP_008550",
    "0006R0_f00930",
    "0016E5_07961",
    "0016E5_08190",
    "Seq05VD_f00000",
  )

  def write(self, source):
    colors = np.array(list(OFFICIAL_COLORS), np.uint8)
    for seed, name in enumerate(self.NAMES):
      save(source / "701_StillsRaw_full" / f"{name}.png", pixels(seed))
      choice = np.random.default_rng(seed).permutation(np.arange(SIZE[0] * SIZE[1]) % 32).reshape(SIZE)
      save(source / "LabeledApproved_full" / f"{name}_L.png", colors[choice])
    return source

  def test_prepared_arrays_equal_the_official_files(self, tmp_path):
    source = self.write(tmp_path / "source")
    prepare("camvid", str(source), str(tmp_path / "data"))
    found = {split: examples("camvid", split, tmp_path / "data") for split in ("train", "val", "test")}
    assert set(found["train"]) == {"0001TP_006690", "0006R0_f00930", "0016E5_08190"}
    assert set(found["val"]) == {"0016E5_07961"}
    assert set(found["test"]) == {"0001TP_008550", "Seq05VD_f00000"}
    for name, example in {**found["train"], **found["val"], **found["test"]}.items():
      colors = np.asarray(Image.open(source / "LabeledApproved_full" / f"{name}_L.png"))
      expected = [
        IGNORE if (k := OFFICIAL_COLORS[tuple(c)]) == 11 else k for c in colors.reshape(-1, 3).tolist()
      ]
      np.testing.assert_array_equal(example["label"].ravel(), expected)
      np.testing.assert_array_equal(example["image"], pixels(self.NAMES.index(name)))

  def test_unknown_color_is_rejected(self, tmp_path):
    source = self.write(tmp_path / "source")
    file = source / "LabeledApproved_full" / "0016E5_07961_L.png"
    colors = np.array(Image.open(file))
    colors[3, 4] = (1, 2, 3)
    Image.fromarray(colors).save(file)
    with pytest.raises(ValueError, match=re.escape(f"{file}: color (1, 2, 3)")):
      prepare("camvid", str(source), str(tmp_path / "data"))
    assert_not_prepared(tmp_path / "data", "after an unknown color")

  def test_label_of_another_size_is_rejected(self, tmp_path):
    source = self.write(tmp_path / "source")
    save(source / "701_StillsRaw_full" / "0016E5_07961.png", pixels(0, (10, 16)))
    with pytest.raises(
      ValueError, match=r"0016E5_07961_L\.png: label is 16x12, but .*0016E5_07961\.png is 16x10"
    ):
      prepare("camvid", str(source), str(tmp_path / "data"))

  def test_missing_label_is_rejected(self, tmp_path):
    source = self.write(tmp_path / "source")
    (source / "LabeledApproved_full" / "0016E5_07961_L.png").unlink()
    with pytest.raises(ValueError, match=r"0016E5_07961_L\.png: no such file"):
      prepare("camvid", str(source), str(tmp_path / "data"))

  def test_unknown_frame_name_is_rejected(self, tmp_path):
    source = self.write(tmp_path / "source")
    save(source / "701_StillsRaw_full" / "holiday.png", pixels(0))
    with pytest.raises(ValueError, match="holiday: expected a frame of 0001TP"):
      prepare("camvid", str(source), str(tmp_path / "data"))

  @pytest.mark.parametrize(
    ("name", "split"),
    [
      ("0001TP_008520", "train"),
      ("0001TP_008550", "test"),
      ("0016E5_07957", "train"),
      ("0016E5_07959", "val"),
      ("0016E5_08159", "val"),
      ("0016E5_08161", "train"),
      ("0006R0_f03930", "train"),
      ("Seq05VD_f05100", "test"),
    ],
  )
  def test_frames_have_segnets_split(self, name, split):
    assert segnet_split(name) == split


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

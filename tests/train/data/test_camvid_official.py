"""CamVid in the official layout, whose labels are colors."""

import re

import numpy as np
import pytest
from PIL import Image

from tests.helpers.camvid import (
  assert_not_prepared,
)
from tests.helpers.datasets import SIZE, examples, pixels, save
from train.data.classes import IGNORE
from train.data.datasets.camvid import segnet_split
from train.data.datasets.camvid_classes import OFFICIAL_COLORS
from train.prepare import prepare


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

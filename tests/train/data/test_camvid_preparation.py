"""Preparation of CamVid: errors for invalid files, and repeated preparation."""

import re
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tests.helpers.camvid import assert_not_prepared, raw_label, write_lists
from tests.helpers.datasets import ROOT, SIZE, examples, pixels, save
from train.data.registry import open_prepared
from train.prepare import prepare


class TestErrors:
  def test_nonexistent_folder_is_rejected(self, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
      prepare("camvid", str(tmp_path / "nowhere"), str(tmp_path / "data"))

  def test_folder_of_no_layout_is_rejected(self, tmp_path):
    with pytest.raises(
      FileNotFoundError, match=r"expected train\.txt and val\.txt, or the folder 701_StillsRaw"
    ):
      prepare("camvid", str(tmp_path), str(tmp_path / "data"))

  def test_all_missing_files_are_named(self, camvid_source, tmp_path):
    for file in ("train/0.png", "valannot/7.png"):
      (camvid_source / file).unlink()
    with pytest.raises(
      ValueError, match=r"(?s)2 problems in .*train/0\.png: no such .*valannot/7\.png: no such"
    ):
      prepare("camvid", str(camvid_source), str(tmp_path / "data"))
    assert_not_prepared(tmp_path / "data", "after missing files")

  def test_malformed_line_is_rejected(self, camvid_source, tmp_path):
    with (camvid_source / "train.txt").open("a") as file:
      file.write("\ntrain/2.png\n")
    with pytest.raises(ValueError, match=r"train\.txt:5: expected \"image label\", got 'train/2.png'"):
      prepare("camvid", str(camvid_source), str(tmp_path / "data"))

  def test_empty_split_is_rejected(self, camvid_source, tmp_path):
    (camvid_source / "val.txt").write_text("\n")
    with pytest.raises(ValueError, match="the split 'val' is empty"):
      prepare("camvid", str(camvid_source), str(tmp_path / "data"))

  @pytest.mark.parametrize(
    ("list_", "where"), [("train", "in train and in train"), ("val", "in train and in val")]
  )
  def test_duplicate_frame_is_rejected(self, camvid_source, tmp_path, list_, where):
    with (camvid_source / f"{list_}.txt").open("a") as file:
      file.write("train/0.png trainannot/0.png\n")
    with pytest.raises(ValueError, match=rf"train/0\.png: duplicate id 0, {where}"):
      prepare("camvid", str(camvid_source), str(tmp_path / "data"))

  @pytest.mark.parametrize("share", [0, 0.5, 0.7])
  @pytest.mark.parametrize("file", ["train/1.jpg", "trainannot/1.png", "train/2.png"])
  def test_truncated_file_is_rejected(self, camvid_source, tmp_path, file, share):
    Image.fromarray(pixels(1)).save(camvid_source / "train" / "1.jpg", quality=95)
    text = (camvid_source / "train.txt").read_text()
    (camvid_source / "train.txt").write_text(text.replace("train/1.png", "train/1.jpg"))
    whole = (camvid_source / file).read_bytes()
    (camvid_source / file).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match=re.escape(f"{camvid_source / file}: not a readable image")):
      prepare("camvid", str(camvid_source), str(tmp_path / "data"))
    assert_not_prepared(tmp_path / "data", "after a truncated file")

  def test_file_of_no_image_is_rejected(self, camvid_source, tmp_path):
    (camvid_source / "train" / "2.png").write_text("<html>404</html>")
    with pytest.raises(ValueError, match=r"train/2\.png: not a readable image"):
      prepare("camvid", str(camvid_source), str(tmp_path / "data"))

  def test_unknown_label_value_is_rejected(self, camvid_source, tmp_path):
    label = raw_label(2)
    label[5, 6] = 200
    save(camvid_source / "trainannot" / "2.png", label)
    with pytest.raises(ValueError, match=r"trainannot/2\.png: label 200 is not in the table"):
      prepare("camvid", str(camvid_source), str(tmp_path / "data"))
    assert_not_prepared(tmp_path / "data", "after label 200")

  def test_label_of_another_size_is_rejected(self, camvid_source, tmp_path):
    save(camvid_source / "valannot" / "7.png", raw_label(7, (12, 15)))
    with pytest.raises(ValueError, match=r"valannot/7\.png: label is 15x12, but .*val/7\.png is 16x12"):
      prepare("camvid", str(camvid_source), str(tmp_path / "data"))
    assert_not_prepared(tmp_path / "data", "after the second of two splits failed")

  def test_label_with_three_channels_is_rejected(self, camvid_source, tmp_path):
    save(camvid_source / "trainannot" / "2.png", pixels(2))
    with pytest.raises(
      ValueError, match=r"trainannot/2\.png: expected .* one 8-bit channel .*, got mode RGB;"
    ):
      prepare("camvid", str(camvid_source), str(tmp_path / "data"))

  def test_command_prints_the_error_in_one_line(self, camvid_source, tmp_path):
    save(camvid_source / "valannot" / "7.png", np.full(SIZE, 77, np.uint8))
    command = [
      sys.executable,
      "-m",
      "train.prepare",
      "camvid",
      "--source",
      camvid_source,
      "--dir",
      tmp_path / "data",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"error: {camvid_source}/valannot/7.png: label 77 is not in the table" in done.stderr


class TestPrepared:
  def test_second_preparation_writes_nothing(self, camvid_source, tmp_path, capsys):
    prepare("camvid", str(camvid_source), str(tmp_path / "data"))
    first = capsys.readouterr().out
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "data").rglob("*")}
    before = time.perf_counter()
    prepare("camvid", str(camvid_source), str(tmp_path / "data"))
    assert time.perf_counter() - before < 1
    assert capsys.readouterr().out.splitlines() == [
      first.splitlines()[-3].replace("is in", "is already prepared from these files in"),
      *first.splitlines()[-2:],
    ]
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "data").rglob("*")} == files

  def test_moved_source_is_recognized(self, camvid_source, tmp_path):
    prepare("camvid", str(camvid_source), str(tmp_path / "data"))
    prepare("camvid", str(camvid_source.rename(tmp_path / "moved")), str(tmp_path / "data"))

  @pytest.mark.parametrize(
    "other",
    [{"train": range(4), "val": [7]}, {"train": range(3)}, {"train": [0, 1, 5], "val": [7]}],
    ids=["more", "no-val", "same-counts"],
  )
  def test_another_source_is_rejected(self, camvid_source, tmp_path, other):
    prepare("camvid", str(camvid_source), str(tmp_path / "data"))
    second = write_lists(tmp_path / "other", other)
    with pytest.raises(ValueError, match=f"was prepared from other files than those in {second}"):
      prepare("camvid", str(second), str(tmp_path / "data"))
    assert set(examples("camvid", "train", tmp_path / "data")) == {"0", "1", "2"}

  def test_error_gives_the_command_to_prepare(self, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"python -m train\.prepare camvid --source DIR --dir"):
      open_prepared("camvid", "train", str(tmp_path / "data"))
    assert not (tmp_path / "data").exists()

  def test_unknown_split_is_rejected(self, camvid_source, tmp_path):
    prepare("camvid", str(camvid_source), str(tmp_path / "data"))
    with pytest.raises(ValueError, match="expected a split among train, val, got 'test'"):
      open_prepared("camvid", "test", str(tmp_path / "data"))

  @pytest.mark.parametrize("damage", ["truncated", "removed"])
  def test_corrupt_record_file_is_named(self, camvid_source, tmp_path, damage):
    prepare("camvid", str(camvid_source), str(tmp_path / "data"))
    file = next((tmp_path / "data").rglob("*train.array_record*"))
    whole = file.read_bytes()
    file.unlink()
    if damage == "truncated":
      file.write_bytes(whole[: len(whole) // 2])
    says = rf"camvid, split 'train': example \d, record \d of {file.name},"
    with pytest.raises(ValueError, match=rf"{file.parent}: {says} is unreadable .*prepare it again"):
      examples("camvid", "train", tmp_path / "data")

  def test_tensorflow_is_not_imported_and_nothing_warned(self, camvid_source, tmp_path):
    script = f"""
import sys
from train.data.registry import open_prepared
from train.prepare import prepare
prepare("camvid", {str(camvid_source)!r}, {str(tmp_path / "data")!r})
opened = open_prepared("camvid", "train", {str(tmp_path / "data")!r})
print(opened[0]["label"].shape, "tensorflow" in sys.modules)
"""
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "(12, 16) False"
    assert done.stderr == ""

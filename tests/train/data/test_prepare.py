"""Preparation reports all problems at once, leaves nothing incomplete and is not repeated."""

import fcntl
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import train.data.preparation.builder
from tests.helpers.datasets import ROOT, assert_rejected, examples, files_below, pixels, raw_label, save
from train.data.preparation import checks
from train.prepare import prepare, verify

VALUES = np.array([0, 1], np.uint8)
CLASSES = "name,raw_id,train_id,r,g,b\nsoil,0,0,120,80,40\nstem,1,1,0,255,0\n"


@pytest.fixture
def source(tmp_path):
  root = tmp_path / "source"
  for i in range(8):
    split = "val" if i > 5 else "train"
    save(root / "images" / split / f"{i}.png", pixels(i))
    save(root / "labels" / split / f"{i}.png", raw_label(i, VALUES))
  (root / "classes.csv").write_text(CLASSES)
  return root


def command(source, folder, *more):
  return [sys.executable, "-m", "train.prepare", "folder", "--source", source, "--dir", folder, *more]


def spoil(source):
  """Makes every sample but number 5 invalid; returns the expected problems."""
  (source / "images/train/0.png").write_bytes(b"")
  (source / "labels/train/0.png").write_text("<html>")
  whole = (source / "labels/train/1.png").read_bytes()
  (source / "labels/train/1.png").write_bytes(whole[:-20])
  save(source / "labels/train/2.png", pixels(2))
  Image.fromarray(np.full((12, 16), 300, np.uint16)).save(source / "images/train/3.png")
  save(source / "labels/train/4.png", raw_label(4, VALUES, (6, 8)))
  (source / "labels/val/6.png").unlink()
  save(source / "labels/val/7.png", raw_label(7, np.array([0, 77], np.uint8)))
  return [
    "images/train/0.png: not a readable image (it is empty); copy or download it again",
    "labels/train/0.png: not a readable image (Pillow does not recognize its format)",
    "labels/train/1.png: not a readable image (",
    "labels/train/2.png: expected a label map of one 8-bit channel (mode L or P), got mode RGB; use the",
    "images/train/3.png: expected 8 bits per channel, got a 16-bit PNG; convert it first",
    "labels/train/4.png: label is 8x6, but ",
    "labels/val/6.png: no such file",
    "labels/val/7.png: label 77 is not in the table (it has 0..1)",
  ]


class TestEveryProblem:
  @pytest.mark.parametrize("run", [prepare, lambda name, source, directory: verify(name, source)])
  def test_all_problems_are_named_at_once(self, source, tmp_path, run):
    expected = spoil(source)
    with pytest.raises(ValueError, match=f"{len(expected)} problems in") as error:
      run("folder", str(source), str(tmp_path / "data"))
    lines = str(error.value).splitlines()[1:]
    for line, says in zip(sorted(lines), sorted(f"  {source}/{text}" for text in expected), strict=True):
      assert line.startswith(says)
    assert not (tmp_path / "data").exists()

  def test_problems_found_during_writing_are_all_named(self, source, tmp_path):
    """No file is missing, so writing starts and reaches the first invalid file in the middle."""
    for name in ("train/3", "val/7"):
      save(source / "labels" / f"{name}.png", raw_label(7, np.array([0, 77], np.uint8)))
    assert_rejected(
      "folder", source, tmp_path / "data", r"(?s)2 problems .*train/3\.png: label 77.*val/7\.png: label 77"
    )

  def test_long_problem_list_is_truncated(self, source, tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "_SHOWN", 3)
    spoil(source)
    with pytest.raises(ValueError, match=r"^8 problems in .*(\n  .*){3}\n  and 5 more$"):
      verify("folder", str(source))

  def test_16_bit_rgb_is_rejected(self, source, tmp_path):
    """Pillow opens a 16-bit RGB file as 8-bit RGB."""
    file = source / "images/train/3.png"
    content = bytearray(file.read_bytes())
    content[24] = 16
    file.write_bytes(content)
    assert_rejected(
      "folder", source, tmp_path / "data", re.escape(f"{file}: expected 8 bits per channel, got a 16-bit PNG")
    )

  def test_16_bit_tiff_named_png_is_rejected(self, source, tmp_path):
    file = source / "images/train/3.png"
    Image.fromarray(np.full((12, 16), 300, np.uint16)).save(file, format="TIFF")
    assert_rejected(
      "folder",
      source,
      tmp_path / "data",
      re.escape(f"{file}: expected an image of 8 bits per channel, got mode I;16"),
    )


class TestVerify:
  def test_verify_writes_nothing(self, source, tmp_path):
    before = files_below(tmp_path)
    done = subprocess.run(
      command(source, tmp_path / "data", "--verify"), cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "every file of" in done.stdout
    assert "train: 6 images\nval: 2 images\n" in done.stdout
    assert files_below(tmp_path) == before
    assert not (tmp_path / "data").exists()


class TestInterruption:
  def test_interrupted_preparation_resumes(self, source, tmp_path, monkeypatch):
    encode, calls = train.data.preparation.builder.encode, []

    def interrupted(*args):
      calls.append(args)
      if len(calls) == 7:  # in the second split
        raise KeyboardInterrupt
      return encode(*args)

    monkeypatch.setattr(train.data.preparation.builder, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
      prepare("folder", str(source), str(tmp_path / "data"))
    home = tmp_path / "data" / "folder"
    assert [path.name for path in home.iterdir()] == ["unfinished"]
    assert len(list((home / "unfinished").iterdir())) == 6
    again = []
    monkeypatch.setattr(
      train.data.preparation.builder, "encode", lambda *args: again.append(args[0].id) or encode(*args)
    )
    changed = calls[0][0]
    os.utime(changed.label, (1, 1))  # it may be another file
    prepare("folder", str(source), str(tmp_path / "data"))
    assert [path.name for path in home.iterdir()] == ["1.0.0"]
    monkeypatch.undo()
    prepare("folder", str(source), str(tmp_path / "straight"))
    ids = set()
    for split in ("train", "val"):
      found, straight = (examples("folder", split, tmp_path / name) for name in ("data", "straight"))
      assert found.keys() == straight.keys()
      for key, example in found.items():
        np.testing.assert_array_equal(example["label"], straight[key]["label"])
        np.testing.assert_array_equal(example["image"], straight[key]["image"])
      ids |= found.keys()
    done = {sample.id for sample, *_ in calls[:6]}
    assert sorted(again) == sorted(ids - done | {changed.id})

  def test_leftovers_of_a_killed_process_are_removed(self, source, tmp_path):
    """The next preparation removes the files of a killed one."""
    script = f"""
import os, train.data.preparation.builder as builder
from train.prepare import prepare
encode, calls = builder.encode, []
def killed(*args):
  calls.append(args)
  return encode(*args) if len(calls) < 7 else os.kill(os.getpid(), 9)
builder.encode = killed
prepare("folder", {str(source)!r}, {str(tmp_path / "data")!r})
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True)
    assert done.returncode == -9, done.stderr
    assert list((tmp_path / "data" / "folder").glob("incomplete.*"))
    prepare("folder", str(source), str(tmp_path / "data"))
    assert [path.name for path in (tmp_path / "data" / "folder").iterdir()] == ["1.0.0"]
    assert len(examples("folder", "train", tmp_path / "data")) == 6

  def test_concurrent_preparation_is_rejected(self, source, tmp_path):
    home = tmp_path / "data" / "folder"
    home.mkdir(parents=True)
    handle = os.open(home, os.O_RDONLY)
    try:
      fcntl.flock(handle, fcntl.LOCK_EX)
      with pytest.raises(ValueError, match="another process is preparing it"):
        prepare("folder", str(source), str(tmp_path / "data"))
    finally:
      os.close(handle)
    prepare("folder", str(source), str(tmp_path / "data"))


class TestAgain:
  def test_prepared_data_set_is_not_prepared_again(self, source, tmp_path, monkeypatch, capsys):
    prepare("folder", str(source), str(tmp_path / "data"))
    before = {file: file.stat().st_mtime_ns for file in files_below(tmp_path / "data")}
    monkeypatch.setattr(train.data.preparation.builder, "encode", None)  # whoever encodes, fails
    prepare("folder", str(source), str(tmp_path / "data"))
    assert "folder is already prepared from these files" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in files_below(tmp_path / "data")} == before

  def test_command_prints_the_state(self, source, tmp_path):
    for says in ("folder is in", "folder is already prepared"):
      done = subprocess.run(command(source, tmp_path / "data"), cwd=ROOT, capture_output=True, text=True)
      assert (done.returncode, done.stderr) == (0, "")
      assert says in done.stdout

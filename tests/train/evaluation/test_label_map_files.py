"""Finding the label map of an image in a folder or an archive."""

import re

import numpy as np
import pytest

from tests.helpers.datasets import save, write_tar, write_zip
from train.data.submission_formats import SUBMISSION_FORMATS
from train.evaluation.label_maps import LabelMapFiles

cityscapes = SUBMISSION_FORMATS["cityscapes"].identify


def put(folder, *names):
  """Writes PNGs of one pixel, whose value is their index in `names`."""
  for value, name in enumerate(names):
    save(folder / name, np.full((1, 1), value, np.uint8))
  return folder


def content(folder, name):
  return (folder / name).read_bytes()


@pytest.mark.parametrize(
  "name",
  [
    "ulm_000001_000019.png",
    "ulm_000001_000019_pred_labelIds.png",
    "val/ulm/ulm_000001_000019_leftImg8bit_labelIds.png",
    "ulm_000001_000019_gtFine_pred.png",
  ],
)
def test_cityscapes_predictions_are_found_by_frame(name, tmp_path):
  """As Cityscapes' getPrediction does: at any depth, with any suffix of the name."""
  others = ("ulm_000002_000019_pred.png", "ulm_000001_000020.png", "other.png", "ulm_000001_000019.txt")
  (tmp_path / others[-1]).write_text("")
  put(tmp_path, *others[:-1], name)
  found = LabelMapFiles(tmp_path, cityscapes)["ulm_000001_000019"]
  assert found.read_bytes() == content(tmp_path, name)


def test_ids_with_folders_match_the_end_of_a_path(tmp_path):
  """The path may be in another folder; b alone does not match street/b."""
  put(tmp_path, "mine/street/b.png", "mine/park/b.png", "mine/avenue-street/c.png", "a.png", "mine/a.png")
  files = LabelMapFiles(tmp_path)
  assert files["street/b"].read_bytes() == content(tmp_path, "mine/street/b.png")
  assert files["a"].read_bytes() == content(tmp_path, "a.png"), "an exact name has priority"
  with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path / 'street/c.png'}: no such file")):
    files["street/c"]


def test_two_predictions_of_an_image_are_refused(tmp_path):
  put(tmp_path, "old/ulm_000001_000019_a.png", "ulm_000001_000019_b.png")
  message = "expected one prediction of ulm_000001_000019, got old/ulm_000001_000019_a.png, ulm_"
  with pytest.raises(ValueError, match=message):
    LabelMapFiles(tmp_path, cityscapes)["ulm_000001_000019"]


def test_archives_are_read_as_folders(tmp_path):
  """With any compression and folders in the archive; hidden files of macOS are ignored."""
  folder = put(tmp_path / "p", "b.png", "a.png", "__MACOSX/._a.png", ".hidden/a.png")
  for archive in (
    write_zip(tmp_path / "p.zip", folder, "deep/er"),
    write_tar(tmp_path / "p.tar", folder, "deep"),
    write_tar(tmp_path / "p.tar.gz", folder, "deep", "w:gz"),
  ):
    assert LabelMapFiles(archive)["a"].read_bytes() == content(folder, "a.png")


def test_paths_without_predictions_are_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"none\.zip: no such folder or archive"):
    LabelMapFiles(tmp_path / "none.zip")
  with pytest.raises(FileNotFoundError, match="there are no PNGs in it"):
    LabelMapFiles(tmp_path)
  (tmp_path / "broken.tar.gz").write_bytes(b"no archive")
  with pytest.raises(ValueError, match=r"broken\.tar\.gz: not a readable archive"):
    LabelMapFiles(tmp_path / "broken.tar.gz")

"""PASCAL VOC 2012 and SBD: errors for invalid sources."""

import re

import numpy as np
import pytest

from tests.helpers.datasets import (
  VOC_COUNTS,
  VOC_VALUES,
  assert_rejected,
  raw_label,
  save,
  sbd_label,
  set_counts,
  voc_palette,
  write_lines,
  write_tar,
  write_tar_with_member,
)
from train.prepare import prepare


class TestErrors:
  def test_val_image_in_trainaug_is_rejected(self, voc_source, tmp_path):
    lists = voc_source / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation"
    write_lines(lists / "trainaug.txt", [1, 2, 3, 5, 6, 7])
    assert_rejected("voc", voc_source, tmp_path / "data", r"trainaug\.txt: 5 is an image of val")

  def test_incomplete_split_is_rejected(self, voc_source, tmp_path, monkeypatch):
    set_counts(monkeypatch, "voc", {**VOC_COUNTS, "aug": 3})
    assert_rejected("voc", voc_source, tmp_path / "data", r"^aug: 2 of 3 images; --partial")
    prepare("voc", str(voc_source), str(tmp_path / "data"), partial=True)

  def test_missing_official_label_is_rejected(self, voc_source, tmp_path):
    save(voc_source / "VOCdevkit/VOC2012/SegmentationClassAug/2.png", sbd_label(2))
    (voc_source / "VOCdevkit/VOC2012/SegmentationClass/2.png").unlink()
    assert_rejected("voc", voc_source, tmp_path / "data", r"SegmentationClass/2\.png: no such file")

  def test_sbd_labels_are_not_used_for_val(self, voc_source, tmp_path):
    """SBD's labels have no void border, so they are not used for val."""
    (voc_source / "VOCdevkit/VOC2012/SegmentationClass").rename(tmp_path / "elsewhere")
    says = (
      r"(?s)^5 problems in .*SegmentationClass/2\.png: no such file.*SegmentationClass/5\.png: no such file"
    )
    assert_rejected("voc", voc_source, tmp_path / "data", says)

  @pytest.mark.parametrize("content", [b"", b"MATLAB 5.0 MAT-file", None])
  def test_corrupt_mat_is_rejected(self, voc_source, tmp_path, content):
    file = voc_source / "benchmark_RELEASE/dataset/cls/7.mat"
    file.write_bytes(file.read_bytes()[:-20] if content is None else content)
    assert_rejected("voc", voc_source, tmp_path / "data", re.escape(f"{file}: not an SBD label"))

  def test_palette_of_another_data_set_is_rejected(self, voc_source, tmp_path):
    file = voc_source / "VOCdevkit/VOC2012/SegmentationClass/5.png"
    save(file, raw_label(5, VOC_VALUES), voc_palette()[::-1])
    assert_rejected(
      "voc", voc_source, tmp_path / "data", re.escape(f"{file}: value") + ".*VOC's.* another data set"
    )

  def test_label_of_ade20k_is_rejected(self, voc_source, tmp_path):
    file = save(
      voc_source / "VOCdevkit/VOC2012/SegmentationClass/5.png", raw_label(5, np.arange(151)).astype("u1")
    )
    assert_rejected(
      "voc",
      voc_source,
      tmp_path / "data",
      re.escape(f"{file}: label 21 is not in the table (it has 0..20, 255"),
    )

  @pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil", "VOCdevkit/VOC2012/../../evil"])
  def test_tar_with_escaping_path_is_rejected(self, tmp_path, name):
    write_tar_with_member(tmp_path / "VOCtrainval_11-May-2012.tar", name)
    assert_rejected(
      "voc", tmp_path, tmp_path / "data", r"VOCtrainval_11-May-2012\.tar: the path of the member .* escapes"
    )

  @pytest.mark.parametrize(("tar", "share"), [("VOCtrainval_11-May-2012.tar", 0.6), ("benchmark.tgz", 0.5)])
  def test_truncated_tar_is_rejected(self, voc_source, tmp_path, tar, share):
    (tmp_path / "tars").mkdir()
    write_tar(tmp_path / "tars" / "VOCtrainval_11-May-2012.tar", voc_source / "VOCdevkit", "VOCdevkit")
    write_tar(
      tmp_path / "tars" / "benchmark.tgz", voc_source / "benchmark_RELEASE", "benchmark_RELEASE", "w:gz"
    )
    whole = (tmp_path / "tars" / tar).read_bytes()
    (tmp_path / "tars" / tar).write_bytes(whole[: int(share * len(whole))])
    assert_rejected("voc", tmp_path / "tars", tmp_path / "data", rf"{tar}: not a readable archive")

  def test_folder_of_another_layout_is_rejected(self, tmp_path):
    (tmp_path / "JPEGImages").mkdir()
    assert_rejected("voc", tmp_path, tmp_path / "data", "expected VOCdevkit/VOC2012 with", FileNotFoundError)

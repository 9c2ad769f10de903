"""Tiny sources of CamVid and VOC that several modules of tests prepare."""

import pytest

from tests.helpers.camvid import write_lists
from tests.helpers.datasets import VOC_COUNTS, set_counts, write_sbd, write_voc


@pytest.fixture
def camvid_source(tmp_path):
  """SegNet's layout with three training images and one of val."""
  return write_lists(tmp_path / "source", {"train": range(3), "val": [7]})


@pytest.fixture
def voc_source(tmp_path, monkeypatch):
  """VOC with SBD: image 2 is in VOC's train, 4 and 5 are in its val, 6 and 7 are only in SBD."""
  set_counts(monkeypatch, "voc", VOC_COUNTS)
  root = write_voc(tmp_path / "source" / "VOCdevkit" / "VOC2012", {"train": [1, 2, 3], "val": [4, 5]})
  sbd = {"train": [2, 4, 6], "val": [5, 7]}
  write_sbd(tmp_path / "source" / "benchmark_RELEASE" / "dataset", root, sbd)
  return tmp_path / "source"

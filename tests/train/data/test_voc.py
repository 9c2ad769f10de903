"""PASCAL VOC 2012 and SBD: classes, splits, all layouts and the genuine subset."""

import numpy as np
import pytest
from PIL import Image

from tests.helpers.assets import ASSETS, needs
from tests.helpers.datasets import (
  SIZE,
  VOC_VALUES,
  examples,
  pixels,
  raw_label,
  save,
  sbd_label,
  write_lines,
  write_tar,
  write_voc,
)
from train.data.classes import IGNORE
from train.data.datasets.voc import Voc
from train.data.datasets.voc_classes import VOC
from train.data.registry import get_dataset
from train.prepare import prepare


def assert_prepared(folder):
  found = {split: examples("voc", split, folder) for split in ("train", "val", "trainval", "trainaug")}
  assert {split: {int(i) for i in found[split]} for split in found} == {
    "train": {1, 2, 3},
    "val": {4, 5},
    "trainval": {1, 2, 3, 4, 5},
    "trainaug": {1, 2, 3, 6, 7},
  }
  for name, example in {**found["trainaug"], **found["val"]}.items():
    own = raw_label(int(name), VOC_VALUES) if int(name) < 6 else sbd_label(int(name))
    np.testing.assert_array_equal(example["label"], own)


class TestClasses:
  def test_classes_are_the_published_ones(self):
    assert VOC.num_classes == 21
    assert VOC.names[15] == "person"
    assert [VOC.names[k] for k in VOC.thin] == ["bicycle", "chair", "pottedplant"]
    assert VOC.palette()[[1, 2, 15, 20]].tolist() == [[128, 0, 0], [0, 128, 0], [192, 128, 128], [0, 64, 128]]
    assert VOC.palette()[255].tolist() == [224, 224, 192]
    np.testing.assert_array_equal(VOC.to_train_ids(VOC_VALUES, "x"), [*range(21), IGNORE])

  def test_counts_are_the_published_ones(self):
    assert Voc.COUNTS == {"train": 1464, "val": 1449, "aug": 10582 - 1464, "test": 1456}


class TestLayouts:
  def test_folders_are_prepared(self, voc_source, tmp_path):
    prepare("voc", str(voc_source), str(tmp_path / "data"))
    assert_prepared(tmp_path / "data")

  @pytest.mark.parametrize("prefix", ["VOCdevkit", "TrainVal/VOCdevkit"])
  def test_tars_are_prepared(self, voc_source, tmp_path, prefix):
    (tmp_path / "tars").mkdir()
    write_tar(tmp_path / "tars" / "VOCtrainval_11-May-2012.tar", voc_source / "VOCdevkit", prefix)
    write_tar(
      tmp_path / "tars" / "benchmark.tgz", voc_source / "benchmark_RELEASE", "benchmark_RELEASE", "w:gz"
    )
    prepare("voc", str(tmp_path / "tars"), str(tmp_path / "data"))
    assert_prepared(tmp_path / "data")

  @pytest.mark.parametrize("listed", [True, False])
  def test_segmentation_class_aug_is_prepared(self, voc_source, tmp_path, listed):
    """The PNG of image 1 differs from the official label, which has precedence."""
    root = voc_source / "VOCdevkit" / "VOC2012"
    for number in (1, 4, 5, 6, 7):
      save(root / "SegmentationClassAug" / f"{number}.png", sbd_label(number))
    (voc_source / "benchmark_RELEASE").rename(tmp_path / "elsewhere")
    if listed:
      write_lines(root / "ImageSets" / "Segmentation" / "trainaug.txt", [1, 2, 3, 6, 7])
    prepare("voc", str(voc_source), str(tmp_path / "data"))
    assert_prepared(tmp_path / "data")

  def test_trainaug_requires_sbd(self, voc_source, tmp_path):
    (voc_source / "benchmark_RELEASE").rename(tmp_path / "elsewhere")
    prepare("voc", str(voc_source), str(tmp_path / "data"))
    with pytest.raises(ValueError, match="among train, val, trainval, got 'trainaug'"):
      get_dataset("voc").open("trainaug", dir=str(tmp_path / "data"))

  def test_test_split_has_no_labels(self, voc_source, tmp_path, capsys):
    write_voc(voc_source / "VOCdevkit" / "VOC2012", {"test": [9]})
    prepare("voc", str(voc_source), str(tmp_path / "data"))
    assert "test: 1 images without labels" in capsys.readouterr().out
    example = examples("voc", "test", tmp_path / "data")["9"]
    assert set(example) == {"id", "image"}
    assert example["image"].shape == (*SIZE, 3)
    with pytest.raises(ValueError, match="voc: the split 'test' has no labels"):
      example["label"]


@needs("voc12_lists")
def test_splits_of_the_published_lists(tmp_path):
  """trainaug has 10,582 images and none of val; SBD's lists are made from the published ones."""
  lists = {s: (ASSETS / "voc12_lists" / f"{s}.txt").read_text().split() for s in ("train", "val", "trainaug")}
  for split in ("train", "val"):
    write_lines(tmp_path / "VOC2012/ImageSets/Segmentation" / f"{split}.txt", lists[split])
  (tmp_path / "SBD/cls").mkdir(parents=True)
  write_lines(tmp_path / "SBD/train.txt", lists["trainaug"][::2] + lists["val"][:700])
  write_lines(tmp_path / "SBD/val.txt", lists["trainaug"][1::2] + lists["val"][700:])
  index = Voc.scan(tmp_path)
  assert {split: len(samples) for split, samples in index.splits.items()} == {
    "train": 1464,
    "val": 1449,
    "aug": 9118,
  }
  trainaug = [sample.id for split in index.combined["trainaug"] for sample in index.splits[split]]
  assert sorted(trainaug) == sorted(lists["trainaug"])
  assert not index.problems


@needs("voc12_subset")
def test_prepared_genuine_arrays_equal_the_files(tmp_path, capsys):
  prepare("voc", str(ASSETS / "voc12_subset"), str(tmp_path), partial=True)
  out = capsys.readouterr().out
  assert "val: 200 of 1449 images\naug: 500 of 9118 images\n" in out
  root = ASSETS / "voc12_subset" / "VOC2012"
  for split, count in {"trainaug": 500, "val": 200}.items():
    opened = get_dataset("voc").open(split, dir=str(tmp_path))
    assert len(opened) == count
    for i in range(0, count, 7):
      example = opened[i]
      label = np.asarray(Image.open(root / "SegmentationClassAug" / f"{example['id']}.png"))
      np.testing.assert_array_equal(example["label"], label)
      np.testing.assert_array_equal(
        example["image"], np.asarray(Image.open(root / "JPEGImages" / f"{example['id']}.jpg"))
      )


@needs("voc12_subset")
def test_colors_equal_a_genuine_palette():
  file = next((ASSETS / "voc12_subset" / "VOC2012" / "SegmentationClassAug").glob("*.png"))
  palette = np.array(Image.open(file).getpalette()).reshape(256, 3)
  assert {value: tuple(palette[value].tolist()) for value in VOC.colors} == VOC.colors


def test_image_in_a_tar_is_stored_unchanged(voc_source, tmp_path):
  """A JPEG in a tar is stored byte for byte, as one in a folder is."""
  (tmp_path / "tars").mkdir()
  write_tar(tmp_path / "tars" / "VOCtrainval_11-May-2012.tar", voc_source / "VOCdevkit", "VOCdevkit")
  prepare("voc", str(tmp_path / "tars"), str(tmp_path / "data"))
  kept = np.asarray(Image.open(voc_source / "VOCdevkit/VOC2012/JPEGImages/4.jpg"))
  np.testing.assert_array_equal(examples("voc", "val", tmp_path / "data")["4"]["image"], kept)
  assert kept.shape == pixels(4).shape

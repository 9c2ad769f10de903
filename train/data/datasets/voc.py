"""PASCAL VOC 2012 with SBD's labels (Hariharan et al., 2011), from folders or the publishers' archives.

Below the source, a folder has precedence over an archive:
  - VOC: VOCdevkit/VOC2012/, VOC2012/ or the source itself, with JPEGImages, SegmentationClass, ImageSets
    and SegmentationClassAug (SBD's labels as PNGs); or VOC*.tar with the same contents;
  - SBD: benchmark_RELEASE/dataset/ or SBD/ with cls/*.mat, train.txt and val.txt; or benchmark.tgz.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import ClassVar

from train.data.datasets.voc_classes import VOC
from train.data.datasets.voc_labels import read_voc_label
from train.data.preparation.archives import list_folder, list_tar
from train.data.preparation.builder import SegmentationBuilder
from train.data.preparation.samples import Sample, SourceIndex, find_duplicates
from train.data.preparation.tree import FileTree

_VOC_FOLDERS = ("VOCdevkit/VOC2012", "VOC2012", ".")
_SBD_FOLDERS = ("benchmark_RELEASE/dataset", "benchmark/benchmark_RELEASE/dataset", "SBD", "SBD/dataset")
_IMAGES, _LABELS, _AUG_LABELS = "JPEGImages/", "SegmentationClass/", "SegmentationClassAug/"
_LISTS = "ImageSets/Segmentation/"
_PARTS = (_IMAGES, _LABELS, _AUG_LABELS, _LISTS)


class Voc(SegmentationBuilder):
  """Splits train, val, aug (the images that SBD adds to train) and test; combined: trainval, trainaug."""

  COUNTS: ClassVar = {"train": 1464, "val": 1449, "aug": 9118, "test": 1456}
  OPTIONAL_SPLITS: ClassVar = ("aug", "test")

  @staticmethod
  def scan(source: pathlib.Path) -> SourceIndex:
    """Lists the splits whose lists exist; see `SegmentationBuilder.scan`."""
    voc, sbd = _open_voc(source), _open_sbd(source)
    ids = {split: voc.read_words(f"{_LISTS}{split}.txt") for split in ("train", "val")}
    problems = _find_val_in_trainaug(voc, {*ids["val"]})
    ids["aug"] = sorted(set(_list_augmented(voc, sbd)).difference(*ids.values()))
    # A missing label of train or val has no substitute, because SBD's labels have no void border. Only a
    # source whose labels are all in SegmentationClassAug is accepted without SegmentationClass.
    official_only = bool(voc.list_paths(_LABELS, ".png")) or not voc.list_paths(_AUG_LABELS, ".png")
    no_sbd = FileTree(sbd.root)
    labels = {"train": (no_sbd, official_only), "val": (no_sbd, official_only), "aug": (sbd, False)}
    splits = {
      split: [_make_sample(i, voc, *labels[split]) for i in split_ids]
      for split, split_ids in ids.items()
      if split_ids
    }
    if test_ids := voc.read_words(f"{_LISTS}test.txt"):
      splits["test"] = [Sample(i, voc[f"{_IMAGES}{i}.jpg"], None) for i in test_ids]
    return SourceIndex(splits, VOC, [*problems, *find_duplicates(splits)], _combine(splits))


def _open_voc(source: pathlib.Path) -> FileTree:
  tree = FileTree(source / "VOC2012")
  for tar in sorted(source.glob("VOC*.tar")):
    files = list_tar(tar, lambda name: name.partition("VOC2012/")[2].startswith(_PARTS))
    tree.add({name.partition("VOC2012/")[2]: file for name, file in files.items()})
  for folder in (source / name for name in _VOC_FOLDERS):
    if (folder / "ImageSets" / "Segmentation").is_dir():
      tree.root = folder
      for part in _PARTS:
        tree.add({f"{part}{name}": file for name, file in list_folder(folder / part).items()})
      break
  if not tree.read_words(f"{_LISTS}val.txt"):
    raise FileNotFoundError(
      f"{source}: expected VOCdevkit/VOC2012 with ImageSets/Segmentation/val.txt, "
      "or VOCtrainval_11-May-2012.tar"
    )
  aug_labels = list_folder(source / "SegmentationClassAug")
  return tree.add({f"{_AUG_LABELS}{name}": file for name, file in aug_labels.items()})


def _open_sbd(source: pathlib.Path) -> FileTree:
  """Opens SBD; the tree is empty if the source does not contain it."""
  for folder in (source / name for name in _SBD_FOLDERS):
    if (folder / "cls").is_dir():
      return FileTree(folder).add(list_folder(folder))
  tree = FileTree(source / "benchmark.tgz")
  if tree.root.is_file():
    parts = ("cls/", "train.txt", "val.txt")
    files = list_tar(tree.root, lambda name: name.partition("/dataset/")[2].startswith(parts))
    tree.add({name.partition("/dataset/")[2]: file for name, file in files.items()})
    if not tree.read_words("train.txt"):
      raise ValueError(
        f"{tree.root}: expected benchmark_RELEASE/dataset/train.txt in it; is it SBD's archive?"
      )
  return tree


def _list_augmented(voc: FileTree, sbd: FileTree) -> Sequence[str]:
  """Ids with labels beyond VOC's own: the published list, else SBD's lists, else the existing PNGs."""
  return (
    voc.read_words(f"{_LISTS}trainaug.txt")
    or [*sbd.read_words("train.txt"), *sbd.read_words("val.txt")]
    or [pathlib.PurePosixPath(path).stem for path in voc.list_paths(_AUG_LABELS, ".png")]
  )


def _find_val_in_trainaug(voc: FileTree, val_ids: set[str]) -> list[str]:
  path = f"{_LISTS}trainaug.txt"
  overlap = [i for i in voc.read_words(path) if i in val_ids]
  return [f"{voc[path]}: {i} is an image of val, and must not be trained on" for i in overlap]


def _make_sample(name: str, voc: FileTree, sbd: FileTree, official_only: bool) -> Sample:
  """Prefers VOC's own label, which has a void border, then SBD's label as a PNG, then as a .mat."""
  official, aug, mat = (f"{_LABELS}{name}.png", f"{_AUG_LABELS}{name}.png", f"cls/{name}.mat")
  label = voc[official]
  if official not in voc and not official_only:
    label = sbd[mat] if aug not in voc and mat in sbd else voc[aug]
  return Sample(name, voc[f"{_IMAGES}{name}.jpg"], label, read_voc_label)


def _combine(splits: dict[str, list[Sample]]) -> dict[str, list[str]]:
  combined = {"trainval": ["train", "val"]} if {"train", "val"} <= {*splits} else {}
  if "aug" in splits:
    combined["trainaug"] = [split for split in ("train", "aug") if split in splits]
  return combined

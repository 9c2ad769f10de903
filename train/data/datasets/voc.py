"""PASCAL VOC 2012 with SBD's labels (Hariharan et al., 2011), from folders or the publishers' tars.

Read below the source, wherever both are there the folder first:
  - VOCdevkit/VOC2012/, VOC2012/ or the source itself: JPEGImages, SegmentationClass, ImageSets, and
    SegmentationClassAug, SBD's labels as PNGs; VOC*.tar, with the same inside;
  - SBD: benchmark_RELEASE/dataset/ or SBD/ with cls/*.mat, train.txt and val.txt; benchmark.tgz.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import ClassVar

from train.data.datasets.voc_classes import VOC
from train.data.datasets.voc_labels import read_voc_label
from train.data.preparation.archives import folder_files, tar_files
from train.data.preparation.builder import PairBuilder
from train.data.preparation.samples import Found, Pair, repeats
from train.data.preparation.tree import Tree

_VOC_FOLDERS = ("VOCdevkit/VOC2012", "VOC2012", ".")
_SBD_FOLDERS = ("benchmark_RELEASE/dataset", "benchmark/benchmark_RELEASE/dataset", "SBD", "SBD/dataset")
_PARTS = ("JPEGImages/", "SegmentationClass/", "SegmentationClassAug/", "ImageSets/Segmentation/")


class Voc(PairBuilder):
  """Splits train, val, aug (what SBD adds to train) and test; trainval and trainaug are composed."""

  COUNTS: ClassVar = {"train": 1464, "val": 1449, "aug": 9118, "test": 1456}
  OPTIONAL: ClassVar = ("aug", "test")

  @staticmethod
  def find(source: pathlib.Path) -> Found:
    """The splits whose lists are there; see `PairBuilder.find`."""
    voc, sbd = _voc(source), _sbd(source)
    ids = {split: voc.lines(f"ImageSets/Segmentation/{split}.txt") for split in ("train", "val")}
    problems = _leaks(voc, {*ids["val"]})
    ids["aug"] = sorted(set(_augmented(voc, sbd)).difference(*ids.values()))
    # In train and val a label of VOC's own that is missing has no substitute, unless all of them are PNGs
    # of SegmentationClassAug; SBD's have no void border.
    own = bool(voc.under(_PARTS[1], ".png")) or not voc.under(_PARTS[2], ".png")
    labels = {"train": (Tree(sbd.root), own), "val": (Tree(sbd.root), own), "aug": (sbd, False)}
    splits = {split: [_pair(i, voc, *labels[split]) for i in ids[split]] for split in ids if ids[split]}
    if tests := voc.lines("ImageSets/Segmentation/test.txt"):
      splits["test"] = [Pair(i, voc[f"JPEGImages/{i}.jpg"], None) for i in tests]
    return Found(splits, VOC, [*problems, *repeats(splits)], _composed(splits))


def _voc(source: pathlib.Path) -> Tree:
  tree = Tree(source / "VOC2012")
  for tar in sorted(source.glob("VOC*.tar")):
    files = tar_files(tar, lambda name: name.partition("VOC2012/")[2].startswith(_PARTS))
    tree.add({name.partition("VOC2012/")[2]: file for name, file in files.items()})
  for folder in (source / name for name in _VOC_FOLDERS):
    if (folder / "ImageSets" / "Segmentation").is_dir():
      tree.root = folder
      for part in _PARTS:
        tree.add({f"{part}{name}": file for name, file in folder_files(folder / part).items()})
      break
  if not tree.lines("ImageSets/Segmentation/val.txt"):
    raise FileNotFoundError(
      f"{source}: expected VOCdevkit/VOC2012 with ImageSets/Segmentation/val.txt, "
      "or VOCtrainval_11-May-2012.tar"
    )
  aug = source / "SegmentationClassAug"
  return tree.add({f"{_PARTS[2]}{name}": file for name, file in folder_files(aug).items()})


def _sbd(source: pathlib.Path) -> Tree:
  for folder in (source / name for name in _SBD_FOLDERS):
    if (folder / "cls").is_dir():
      return Tree(folder).add(folder_files(folder))
  tree = Tree(source / "benchmark.tgz")
  if tree.root.is_file():
    wanted = ("cls/", "train.txt", "val.txt")
    files = tar_files(tree.root, lambda name: name.partition("/dataset/")[2].startswith(wanted))
    tree.add({name.partition("/dataset/")[2]: file for name, file in files.items()})
    if not tree.lines("train.txt"):
      raise ValueError(
        f"{tree.root}: expected benchmark_RELEASE/dataset/train.txt in it; is it SBD's archive?"
      )
  return tree


def _augmented(voc: Tree, sbd: Tree) -> Sequence[str]:
  """Ids that have labels beyond VOC's own: by the published list, else SBD's lists, else its PNGs."""
  return (
    voc.lines("ImageSets/Segmentation/trainaug.txt")
    or [*sbd.lines("train.txt"), *sbd.lines("val.txt")]
    or [pathlib.PurePosixPath(name).stem for name in voc.under("SegmentationClassAug/", ".png")]
  )


def _leaks(voc: Tree, val: set[str]) -> list[str]:
  path = "ImageSets/Segmentation/trainaug.txt"
  return [
    f"{voc[path]}: {i} is an image of val, and must not be trained on" for i in voc.lines(path) if i in val
  ]


def _pair(name: str, voc: Tree, sbd: Tree, official_only: bool) -> Pair:
  """VOC's own label has a void border and is preferred, then SBD's as a PNG, then its .mat."""
  official, aug, mat = (f"{_PARTS[1]}{name}.png", f"{_PARTS[2]}{name}.png", f"cls/{name}.mat")
  label = voc[official]
  if official not in voc and not official_only:
    label = sbd[mat] if aug not in voc and mat in sbd else voc[aug]
  return Pair(name, voc[f"{_PARTS[0]}{name}.jpg"], label, read_voc_label)


def _composed(splits: dict[str, list[Pair]]) -> dict[str, list[str]]:
  composed = {"trainval": ["train", "val"]} if {"train", "val"} <= {*splits} else {}
  return (
    {**composed, "trainaug": [s for s in ("train", "aug") if s in splits]} if "aug" in splits else composed
  )

"""Cityscapes (Cordts et al., 2016), fine labels: the folders leftImg8bit and gtFine, or their zips.

The zips, leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip, are read without unpacking. The
label files of test hold no classes, so that test is images alone.
"""

from __future__ import annotations

import pathlib
from typing import ClassVar

from train.data.datasets.cityscapes_classes import CITYSCAPES
from train.data.preparation.archives import folder_files, zip_files
from train.data.preparation.builder import PairBuilder
from train.data.preparation.image_files import read_grey_label
from train.data.preparation.samples import Found, Pair, repeats
from train.data.preparation.tree import Tree

_IMAGE, _LABEL = "_leftImg8bit.png", "_gtFine_labelIds.png"


class Cityscapes(PairBuilder):
  """Splits train, val, test; raw ids are the publisher's labelIds."""

  COUNTS: ClassVar = {"train": 2975, "val": 500, "test": 1525}
  OPTIONAL: ClassVar = ("test",)
  SIZE: ClassVar = (1024, 2048)

  @staticmethod
  def find(source: pathlib.Path) -> Found:
    """The splits that the image folder or zip has; see `PairBuilder.find`."""
    images = _part(source, "leftImg8bit", _IMAGE)
    labels = _part(source, "gtFine", _LABEL)
    splits, problems = {}, []
    for split in Cityscapes.COUNTS:
      ids = [path.removesuffix(_IMAGE) for path in images.under(f"{split}/", _IMAGE)]
      if ids:
        splits[split] = [_pair(i, split, images, labels) for i in ids]
      if split != "test":
        spare = {path.removesuffix(_LABEL) for path in labels.under(f"{split}/", _LABEL)}.difference(ids)
        problems += [f"{labels[i + _LABEL]}: there is no image {i + _IMAGE}" for i in sorted(spare)]
    return Found(splits, CITYSCAPES, [*problems, *repeats(splits)])


def _pair(path: str, split: str, images: Tree, labels: Tree) -> Pair:
  label = None if split == "test" else labels[path + _LABEL]
  return Pair(pathlib.PurePosixPath(path).name, images[path + _IMAGE], label, read_grey_label)


def _part(source: pathlib.Path, name: str, ending: str) -> Tree:
  """The folder `name` or its zip, as paths that begin with the split.

  Raises:
    FileNotFoundError: neither is there.
    ValueError: there are no such files in it, so that it is another folder or archive.
  """
  folder, archive = source / name, source / f"{name}_trainvaltest.zip"
  if folder.is_dir():
    tree = Tree(folder).add(folder_files(folder))
  elif archive.is_file():
    files = zip_files(archive)
    inside = {path.removeprefix(f"{name}/"): file for path, file in files.items() if path.startswith(name)}
    tree = Tree(archive / name).add(inside)
  else:
    raise FileNotFoundError(f"{source}: expected the folder {name}, or {archive.name}")
  if not any(tree.under(f"{split}/", ending) for split in Cityscapes.COUNTS):
    where = folder if folder.is_dir() else archive
    raise ValueError(
      f"{where}: expected {name}/SPLIT/CITY/*{ending} in it, found none; it is another archive or folder"
    )
  return tree

"""Cityscapes (Cordts et al., 2016), fine labels: the folders leftImg8bit and gtFine, or their zips.

The zips, leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip, are read without unpacking. The
published label files of test contain no classes, so test is prepared without labels.
"""

from __future__ import annotations

import pathlib
from typing import ClassVar

from train.data.datasets.cityscapes_classes import CITYSCAPES
from train.data.preparation.archives import list_folder, list_zip
from train.data.preparation.builder import SegmentationBuilder
from train.data.preparation.image_files import read_gray_label
from train.data.preparation.samples import Sample, SourceIndex, find_duplicates
from train.data.preparation.tree import FileTree

_IMAGE, _LABEL = "_leftImg8bit.png", "_gtFine_labelIds.png"


class Cityscapes(SegmentationBuilder):
  """Splits train, val and test; raw ids are the publisher's labelIds."""

  COUNTS: ClassVar = {"train": 2975, "val": 500, "test": 1525}
  OPTIONAL_SPLITS: ClassVar = ("test",)
  IMAGE_SIZE: ClassVar = (1024, 2048)

  @staticmethod
  def scan(source: pathlib.Path) -> SourceIndex:
    """Lists the splits of the image folder or zip; see `SegmentationBuilder.scan`."""
    images = _open(source, "leftImg8bit", _IMAGE)
    labels = _open(source, "gtFine", _LABEL)
    splits, problems = {}, []
    for split in Cityscapes.COUNTS:
      frames = [path.removesuffix(_IMAGE) for path in images.list_paths(f"{split}/", _IMAGE)]
      if frames:
        splits[split] = [_make_sample(frame, split, images, labels) for frame in frames]
      if split != "test":
        labeled = {path.removesuffix(_LABEL) for path in labels.list_paths(f"{split}/", _LABEL)}
        for frame in sorted(labeled.difference(frames)):
          problems.append(f"{labels[frame + _LABEL]}: there is no image {frame + _IMAGE}")
    return SourceIndex(splits, CITYSCAPES, [*problems, *find_duplicates(splits)])


def _make_sample(frame: str, split: str, images: FileTree, labels: FileTree) -> Sample:
  label = None if split == "test" else labels[frame + _LABEL]
  return Sample(pathlib.PurePosixPath(frame).name, images[frame + _IMAGE], label, read_gray_label)


def _open(source: pathlib.Path, name: str, suffix: str) -> FileTree:
  """Opens the folder `name` or its zip, with paths that begin with the split.

  Raises:
    FileNotFoundError: neither exists.
    ValueError: it contains no files with that suffix, so it is another folder or archive.
  """
  folder, archive = source / name, source / f"{name}_trainvaltest.zip"
  if folder.is_dir():
    tree = FileTree(folder).add(list_folder(folder))
  elif archive.is_file():
    files = {path: file for path, file in list_zip(archive).items() if path.startswith(name)}
    tree = FileTree(archive / name).add({p.removeprefix(f"{name}/"): file for p, file in files.items()})
  else:
    raise FileNotFoundError(f"{source}: expected the folder {name}, or {archive.name}")
  if not any(tree.list_paths(f"{split}/", suffix) for split in Cityscapes.COUNTS):
    opened = folder if folder.is_dir() else archive
    raise ValueError(
      f"{opened}: expected {name}/SPLIT/CITY/*{suffix} in it, found none; it is another archive or folder"
    )
  return tree

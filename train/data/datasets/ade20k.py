"""ADE20K SceneParsing (Zhou et al., 2017): the folder ADEChallengeData2016 or its zip."""

from __future__ import annotations

import pathlib
from typing import ClassVar

from train.data.datasets.ade20k_classes import ADE20K
from train.data.preparation.archives import list_folder, list_zip
from train.data.preparation.builder import SegmentationBuilder
from train.data.preparation.image_files import read_gray_label
from train.data.preparation.samples import Sample, SourceIndex, find_duplicates
from train.data.preparation.tree import FileTree

_NAME = "ADEChallengeData2016"
_FOLDERS = {"train": "training", "val": "validation"}


class Ade20k(SegmentationBuilder):
  """Splits train and val; raw ids 0..150, of which 0 is ignored."""

  COUNTS: ClassVar = {"train": 20210, "val": 2000}

  @staticmethod
  def scan(source: pathlib.Path) -> SourceIndex:
    """Lists the images and annotations of both folders; see `SegmentationBuilder.scan`."""
    tree, splits, problems = _open(source), {}, []
    for split, folder in _FOLDERS.items():
      names = [pathlib.PurePosixPath(p).stem for p in tree.list_paths(f"images/{folder}/", ".jpg")]
      if names:
        splits[split] = [_make_sample(name, folder, tree) for name in names]
      labels = {pathlib.PurePosixPath(p).stem for p in tree.list_paths(f"annotations/{folder}/", ".png")}
      for name in sorted(labels.difference(names)):
        problems.append(f"{tree[f'annotations/{folder}/{name}.png']}: there is no image {name}.jpg")
    return SourceIndex(splits, ADE20K, [*problems, *find_duplicates(splits)])


def _make_sample(name: str, folder: str, tree: FileTree) -> Sample:
  image, label = tree[f"images/{folder}/{name}.jpg"], tree[f"annotations/{folder}/{name}.png"]
  return Sample(name, image, label, read_gray_label)


def _open(source: pathlib.Path) -> FileTree:
  archive = source / f"{_NAME}.zip"
  for folder in (source / _NAME, source):
    if (folder / "images" / "training").is_dir() or (folder / "images" / "validation").is_dir():
      parts = {part: list_folder(folder / part) for part in ("images", "annotations")}
      return FileTree(folder).add(
        {f"{part}/{path}": file for part, files in parts.items() for path, file in files.items()}
      )
  if not archive.is_file():
    raise FileNotFoundError(f"{source}: expected {_NAME}/images/training, or {archive.name}")
  files = {path.removeprefix(f"{_NAME}/"): file for path, file in list_zip(archive).items()}
  tree = FileTree(archive / _NAME).add(files)
  if not tree.list_paths("images/", ".jpg"):
    raise ValueError(f"{archive}: expected {_NAME}/images in it, found none; it is another archive")
  return tree

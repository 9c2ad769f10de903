"""ADE20K SceneParsing (Zhou et al., 2017): the folder ADEChallengeData2016 or its zip."""

from __future__ import annotations

import pathlib
from typing import ClassVar

from train.data.datasets.ade20k_classes import ADE20K
from train.data.preparation.archives import folder_files, zip_files
from train.data.preparation.builder import PairBuilder
from train.data.preparation.image_files import read_grey_label
from train.data.preparation.samples import Found, Pair, repeats
from train.data.preparation.tree import Tree

_NAME = "ADEChallengeData2016"
_FOLDERS = {"train": "training", "val": "validation"}


class Ade20k(PairBuilder):
  """Splits train and val; raw ids 0..150, of which 0 is ignored."""

  COUNTS: ClassVar = {"train": 20210, "val": 2000}

  @staticmethod
  def find(source: pathlib.Path) -> Found:
    """The images of both folders with their annotations; see `PairBuilder.find`."""
    tree, splits, problems = _tree(source), {}, []
    for split, folder in _FOLDERS.items():
      names = [pathlib.PurePosixPath(p).stem for p in tree.under(f"images/{folder}/", ".jpg")]
      if names:
        splits[split] = [_pair(name, folder, tree) for name in names]
      labels = {pathlib.PurePosixPath(p).stem for p in tree.under(f"annotations/{folder}/", ".png")}
      for name in sorted(labels.difference(names)):
        problems.append(f"{tree[f'annotations/{folder}/{name}.png']}: there is no image {name}.jpg")
    return Found(splits, ADE20K, [*problems, *repeats(splits)])


def _pair(name: str, folder: str, tree: Tree) -> Pair:
  image, label = tree[f"images/{folder}/{name}.jpg"], tree[f"annotations/{folder}/{name}.png"]
  return Pair(name, image, label, read_grey_label)


def _tree(source: pathlib.Path) -> Tree:
  archive = source / f"{_NAME}.zip"
  for folder in (source / _NAME, source):
    if (folder / "images" / "training").is_dir() or (folder / "images" / "validation").is_dir():
      parts = {part: folder_files(folder / part) for part in ("images", "annotations")}
      files = {f"{part}/{path}": file for part, found in parts.items() for path, file in found.items()}
      return Tree(folder).add(files)
  if not archive.is_file():
    raise FileNotFoundError(f"{source}: expected {_NAME}/images/training, or {archive.name}")
  files = {path.removeprefix(f"{_NAME}/"): file for path, file in zip_files(archive).items()}
  tree = Tree(archive / _NAME).add(files)
  if not tree.under("images/", ".jpg"):
    raise ValueError(f"{archive}: expected {_NAME}/images in it, found none; it is another archive")
  return tree

"""A user's own images and label maps in a folder, with a table of their classes.

classes.csv                  name,raw_id,train_id,r,g,b[,thin]: see `train.data.class_files`
images/SPLIT/.../NAME.jpg    train, val or test; .jpg, .jpeg or .png
labels/SPLIT/.../NAME.png    of the same path; a test split may have none
"""

from __future__ import annotations

import pathlib

from train.data.class_files import read_classes
from train.data.preparation.archives import folder_files
from train.data.preparation.builder import PairBuilder
from train.data.preparation.samples import Found, Pair, repeats
from train.data.preparation.tree import Tree

_SPLITS = ("train", "val", "test")
_ENDINGS = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")


class Folder(PairBuilder):
  """Splits train, val and test, those that are there; the table is kept with what is prepared."""

  @staticmethod
  def find(source: pathlib.Path) -> Found:
    """Every image with its label; see `PairBuilder.find`."""
    images, labels = (Tree(source / part).add(folder_files(source / part)) for part in ("images", "labels"))
    found = {split: images.under(f"{split}/", _ENDINGS) for split in _SPLITS}
    if not any(found.values()):
      raise FileNotFoundError(
        f"{source}: expected images/train/*.jpg or .png, labels/train/*.png, classes.csv"
      )
    table = read_classes(source / "classes.csv")
    splits, problems = {}, []
    for split, paths in found.items():
      spare = set(labels.under(f"{split}/", ".png")).difference(_label(path) for path in paths)
      problems += [f"{labels[path]}: there is no image of that name" for path in sorted(spare)]
      if paths:
        labelled = bool(labels.under(f"{split}/", ".png")) or split != "test"
        splits[split] = [Pair(_id(p), images[p], labels[_label(p)] if labelled else None) for p in paths]
    return Found(splits, table, [*problems, *repeats(splits)])

  @staticmethod
  def metadata(found: Found) -> dict:
    """With the classes, so that what is prepared needs nothing else."""
    return {**PairBuilder.metadata(found), "classes": found.table.to_json()}


def _label(path: str) -> str:
  return pathlib.PurePosixPath(path).with_suffix(".png").as_posix()


def _id(path: str) -> str:
  """The path below the split: folders of one's own may repeat a name."""
  return pathlib.PurePosixPath(*pathlib.PurePosixPath(path).with_suffix("").parts[1:]).as_posix()

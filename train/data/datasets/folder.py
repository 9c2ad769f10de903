"""A user's own images and label maps in a folder, with a table of their classes.

classes.csv                  name,raw_id,train_id,r,g,b[,thin]: see `train.data.class_files`
images/SPLIT/.../NAME.jpg    SPLIT is train, val or test; .jpg, .jpeg or .png
labels/SPLIT/.../NAME.png    the same path as the image; optional for the test split as a whole
"""

from __future__ import annotations

import pathlib

from train.data.class_files import read_classes
from train.data.preparation.archives import list_folder
from train.data.preparation.builder import SegmentationBuilder
from train.data.preparation.samples import Sample, SourceIndex, find_duplicates
from train.data.preparation.tree import FileTree

_SPLITS = ("train", "val", "test")
_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")


class Folder(SegmentationBuilder):
  """Those of the splits train, val and test that exist; the class table is stored with the examples."""

  @staticmethod
  def scan(source: pathlib.Path) -> SourceIndex:
    """Lists every image with its label; see `SegmentationBuilder.scan`."""
    images, labels = (
      FileTree(source / part).add(list_folder(source / part)) for part in ("images", "labels")
    )
    image_paths = {split: images.list_paths(f"{split}/", _SUFFIXES) for split in _SPLITS}
    if not any(image_paths.values()):
      raise FileNotFoundError(
        f"{source}: expected images/train/*.jpg or .png, labels/train/*.png, classes.csv"
      )
    table = read_classes(source / "classes.csv")
    splits, problems = {}, []
    for split, paths in image_paths.items():
      label_paths = labels.list_paths(f"{split}/", ".png")
      for path in sorted(set(label_paths).difference(map(_to_label_path, paths))):
        problems.append(f"{labels[path]}: there is no image of that name")
      if paths:
        has_labels = bool(label_paths) or split != "test"
        splits[split] = [_make_sample(path, images, labels if has_labels else None) for path in paths]
    return SourceIndex(splits, table, [*problems, *find_duplicates(splits)])

  @staticmethod
  def metadata(index: SourceIndex) -> dict:
    """Includes the classes, so that the prepared data does not depend on classes.csv."""
    return {**SegmentationBuilder.metadata(index), "classes": index.table.to_json()}


def _make_sample(path: str, images: FileTree, labels: FileTree | None) -> Sample:
  """The id is the path below the split, because several folders may contain the same name."""
  name = pathlib.PurePosixPath(*pathlib.PurePosixPath(path).with_suffix("").parts[1:]).as_posix()
  return Sample(name, images[path], None if labels is None else labels[_to_label_path(path)])


def _to_label_path(image_path: str) -> str:
  return pathlib.PurePosixPath(image_path).with_suffix(".png").as_posix()

"""Data sets by name: the table of classes, and random access to a split."""

from __future__ import annotations

import difflib
import pathlib
from typing import NamedTuple

import numpy as np
from absl import logging as absl_logging

from train.data.camvid_classes import CAMVID
from train.data.classes import ClassTable
from train.data.scenes import SCENES, Scenes

# TFDS decodes with Pillow where OpenCV is not installed, and says in every process that it does.
absl_logging.get_absl_logger().addFilter(lambda record: "OpenCV is not installed" not in str(record.msg))


class Dataset(NamedTuple):
  """A table of classes and `open(split, **options) -> source`."""

  table: ClassTable
  open: callable


class TfdsSource:
  """Random access to a prepared TFDS split: {"id", "image" [H, W, 3], "label" [H, W] in train ids}.

  Args:
    source: TFDS's own, whose labels are raw ids `[H, W, 1]`.
    folder: where it is, for errors.
  """

  def __init__(self, source, table: ClassTable, folder: str = ""):
    self._source, self._table, self._folder = source, table, folder

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, index: int) -> dict:
    if not 0 <= index < len(self):
      raise IndexError(f"index: expected 0..{len(self) - 1}, got {index}")
    try:
      example = self._source[index]
    except Exception as error:  # whatever Array Record or the decoder make of a damaged file
      raise ValueError(
        f"{self._folder}: example {index} is unreadable ({error}); delete that folder and prepare it again"
      ) from error
    name = example["id"].decode() if isinstance(example["id"], bytes) else str(example["id"])
    label = self._table.to_train_ids(example["label"][..., 0], name)
    return {"id": name, "image": np.asarray(example["image"]), "label": label}


def open_scenes(split: str, train: int = 2000, val: int = 100, seed: int = 0, size=(96, 128)) -> Scenes:
  """Generated scenes; the splits are different seeds.

  Args:
    split: "train" or "val".
    train, val: examples in each.
    seed: of the scenes.
    size: (height, width).
  """
  counts = {"train": train, "val": val}
  if split not in counts:
    raise ValueError(f"scenes: expected the split train or val, got {split!r}")
  return Scenes(counts[split], 2 * seed + (split == "val"), tuple(size))


def open_camvid(split: str, dir: str = "data") -> TfdsSource:
  """CamVid as `python -m train.prepare camvid` left it under `dir`.

  Raises:
    FileNotFoundError: not prepared; the command is named.
    ValueError: a split that was not prepared, or an empty one.
  """
  from train.data.camvid import Camvid  # TFDS takes seconds to import

  builder = Camvid(data_dir=pathlib.Path(dir).expanduser(), file_format="array_record")
  if not builder.info.splits:
    raise FileNotFoundError(
      f"{builder.data_dir}: CamVid is not prepared there; run "
      f"`python -m train.prepare camvid --source DIR --dir {dir}`"
    )
  if split not in builder.info.splits:
    raise ValueError(f"camvid: expected a split among {', '.join(builder.info.splits)}, got {split!r}")
  return TfdsSource(builder.as_data_source(split), CAMVID, str(builder.data_dir))


DATASETS = {"scenes": Dataset(SCENES, open_scenes), "camvid": Dataset(CAMVID, open_camvid)}


def dataset(name: str) -> Dataset:
  """The data set of that name.

  Raises:
    ValueError: no such data set, with the nearest name.
  """
  if name not in DATASETS:
    near = difflib.get_close_matches(name, DATASETS, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"data.name: expected one of {', '.join(DATASETS)}, got {name!r}{hint}")
  return DATASETS[name]

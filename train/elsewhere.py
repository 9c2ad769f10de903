"""Predictions made elsewhere: a folder of PNGs, one an image."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import numpy as np

from train.data.classes import IGNORE, ClassTable
from train.data.files import read_label
from train.progress import track

IDS = ("train", "raw")


def prediction_files(
  source, table: ClassTable, folder: pathlib.Path, ids: str
) -> Iterator[tuple[dict, np.ndarray]]:
  """Every example of `source` with the classes, uint8 `[H, W]`, of FOLDER/ID.png.

  Every file is looked at before an error is raised: it names all that are missing or wrong.

  Args:
    ids: what the files hold, "train" ids 0..K-1, or the "raw" ones of the data set's own label files;
      what is no class in them becomes a value that is none here.

  Raises:
    FileNotFoundError: no such folder.
    ValueError: files that are missing, unreadable, of several channels, or of another size.
  """
  folder = pathlib.Path(folder)
  if not folder.is_dir():
    raise FileNotFoundError(f"--predictions {folder}: no such folder")
  values = train_ids(table) if ids == "raw" else np.arange(256, dtype=np.uint8)
  problems = []
  for index in track(range(len(source)), "scoring", "images"):
    example = source[index]
    shape = example["label"].shape
    try:
      prediction = _read(folder / f"{example['id']}.png", shape)
    except (ValueError, OSError) as error:
      problems.append(str(error))
    else:
      yield example, values[prediction]
  if problems:
    count = f"{len(problems)} of {len(source)} predictions cannot be scored:"
    raise ValueError("\n".join([count, *problems]))


def train_ids(table: ClassTable) -> np.ndarray:
  """The train id of each of the 256 raw ids, uint8 `[256]`; `IGNORE` for those that are no class."""
  values = np.full(256, IGNORE, np.uint8)
  for row in table.rows:
    values[row.raw_id] = row.train_id
  return values


def _read(file: pathlib.Path, shape: tuple[int, int]) -> np.ndarray:
  prediction = read_label(file)
  if prediction.shape != shape:
    (height, width), (h, w) = shape, prediction.shape
    raise ValueError(f"{file}: expected {height} x {width} pixels as the image has, got {h} x {w}")
  return prediction

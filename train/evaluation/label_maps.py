"""Predictions made elsewhere: label maps, one PNG an image, in a folder or an archive."""

from __future__ import annotations

import pathlib
import zipfile
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from train.data.classes import IGNORE, ClassTable
from train.data.preparation.archives import folder_files, tar_files, zip_files
from train.data.preparation.image_files import File, read_label
from train.utils.problems import Report
from train.utils.progress import track

IDS = ("train", "raw")


class Predictions:
  """The PNGs of a folder, at any depth, or of a zip or tar, by the image that they are of.

  Args:
    place: the folder or archive.
    identify: the image's id from a PNG's name without .png; None of what is no prediction. See
      `train.data.server_formats.Format.identify`.

  Raises:
    FileNotFoundError: there is nothing, or there are no PNGs in it.
    ValueError: a file that is no archive, or a damaged one.
  """

  def __init__(self, place: pathlib.Path, identify: Callable[[str], str | None] = str):
    files = {path: file for path, file in _files(place).items() if _is_png(path)}
    if not files:
      raise FileNotFoundError(f"--predictions {place}: there are no PNGs in it")
    self._place, self._files = place, files
    self._of_image: dict[str | None, list[str]] = {}
    for path in sorted(files):
      self._of_image.setdefault(identify(pathlib.PurePosixPath(path).stem), []).append(path)

  def __getitem__(self, image: str) -> File:
    """ID.png, or the one PNG, whatever folder it is in, that is of this image.

    Raises:
      FileNotFoundError: there is none.
      ValueError: there are several.
    """
    exact, name = f"{image}.png", pathlib.PurePosixPath(image).name
    if exact in self._files:
      return self._files[exact]
    # Of an id with folders, street/b, the path has to end with these.
    paths = self._of_image.get(name, [])
    found = [path for path in paths if name == image or f"/{path}".endswith(f"/{exact}")]
    if not found:
      raise FileNotFoundError(f"{self._place / exact}: no such file")
    if len(found) > 1:
      raise ValueError(f"{self._place}: expected one prediction of {image}, got {', '.join(found)}")
    return self._files[found[0]]


def prediction_files(
  source, table: ClassTable, files: Predictions, ids: str
) -> Iterator[tuple[dict, np.ndarray]]:
  """Every example of `source` with the classes, uint8 `[H, W]`, of its file.

  Every file is looked at before an error is raised.

  Args:
    files: by the example's id.
    ids: what the files hold, "train" ids 0..K-1, or the "raw" ones of the data set's own label files;
      what is no class in them becomes a value that is none here.

  Raises:
    ValueError: files that are missing; those that are unreadable, of several channels, or of another
      size: of either the first 20, and their number.
  """
  values = train_ids(table) if ids == "raw" else np.arange(256, dtype=np.uint8)
  report = Report()
  for index in track(range(len(source)), "scoring", "images"):
    example = source[index]
    try:
      prediction = _read(files[example["id"]], example["label"].shape)
    except FileNotFoundError as error:
      report.add("missing", str(error))
    except (ValueError, OSError) as error:
      report.add("wrong", str(error))
    else:
      yield example, values[prediction]
  report.refuse(f"predictions of {len(source)} images cannot be scored")


def train_ids(table: ClassTable) -> np.ndarray:
  """The train id of each of the 256 raw ids, uint8 `[256]`; `IGNORE` for those that are no class."""
  values = np.full(256, IGNORE, np.uint8)
  for row in table.rows:
    values[row.raw_id] = row.train_id
  return values


def _files(place: pathlib.Path) -> Mapping[str, File]:
  if place.is_dir():
    return folder_files(place)
  if not place.is_file():
    raise FileNotFoundError(f"--predictions {place}: no such folder or archive")
  return zip_files(place) if zipfile.is_zipfile(place) else tar_files(place, _is_png)


def _is_png(path: str) -> bool:
  """Whether it is one, and none of the hidden ones that macOS puts into archives."""
  return path.endswith(".png") and "/." not in f"/{path}"


def _read(file: File, shape: tuple[int, int]) -> np.ndarray:
  prediction = read_label(file)
  if prediction.shape != shape:
    (height, width), (h, w) = shape, prediction.shape
    raise ValueError(f"{file}: expected {height} x {width} pixels as the image has, got {h} x {w}")
  return prediction

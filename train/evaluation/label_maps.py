"""Reads label maps that other programs predicted: one PNG per image, in a folder or an archive."""

from __future__ import annotations

import pathlib
import zipfile
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from train.data.classes import IGNORE, ClassTable
from train.data.preparation.archives import list_folder, list_tar, list_zip
from train.data.preparation.image_files import File, read_label
from train.utils.problems import Problems
from train.utils.progress import track

LABEL_IDS = ("train", "raw")
"""What the pixels of a label map may hold: train ids 0..K-1, or the ids of the data set's own label files."""


class LabelMapFiles:
  """The PNGs of a folder (at any depth), zip or tar, by the id of their image.

  Args:
    path: the folder or archive.
    identify: the image's id from a PNG's name without .png; None for a file that is no prediction. See
      `train.data.submission_formats.SubmissionFormat.identify`.

  Raises:
    FileNotFoundError: `path` does not exist or has no PNGs in it.
    ValueError: `path` is a file but no archive, or a damaged one.
  """

  def __init__(self, path: pathlib.Path, identify: Callable[[str], str | None] = str):
    files = {name: file for name, file in _list_files(path).items() if _is_png(name)}
    if not files:
      raise FileNotFoundError(f"--predictions {path}: there are no PNGs in it")
    self._path, self._files = path, files
    self._names_by_id: dict[str | None, list[str]] = {}
    for name in sorted(files):
      self._names_by_id.setdefault(identify(pathlib.PurePosixPath(name).stem), []).append(name)

  def __getitem__(self, image: str) -> File:
    """Returns ID.png, or else the only PNG of this image in any folder.

    Raises:
      FileNotFoundError: there is none.
      ValueError: there are several.
    """
    exact, id_name = f"{image}.png", pathlib.PurePosixPath(image).name
    if exact in self._files:
      return self._files[exact]
    # An id with folders, such as street/b, must match the end of the path.
    names = self._names_by_id.get(id_name, [])
    matches = [name for name in names if id_name == image or f"/{name}".endswith(f"/{exact}")]
    if not matches:
      raise FileNotFoundError(f"{self._path / exact}: no such file")
    if len(matches) > 1:
      raise ValueError(f"{self._path}: expected one prediction of {image}, got {', '.join(matches)}")
    return self._files[matches[0]]


def read_predictions(
  source, table: ClassTable, files: LabelMapFiles, ids: str
) -> Iterator[tuple[dict, np.ndarray]]:
  """Yields every example of `source` with the predicted classes, uint8 `[H, W]`, from its file.

  All files are read before an error is raised.

  Args:
    files: by the example's id.
    ids: of `LABEL_IDS`. Raw ids that are no class become a value that is no train id.

  Raises:
    ValueError: files are missing, unreadable, of several channels or of the wrong size; the message
      names the first 20 of each kind, and their number.
  """
  train_ids = raw_to_train_ids(table) if ids == "raw" else np.arange(256, dtype=np.uint8)
  problems = Problems()
  for index in track(range(len(source)), "scoring", "images"):
    example = source[index]
    try:
      prediction = _read_prediction(files[example["id"]], example["label"].shape)
    except FileNotFoundError as error:
      problems.add("missing", str(error))
    except (ValueError, OSError) as error:
      problems.add("wrong", str(error))
    else:
      yield example, train_ids[prediction]
  problems.raise_if_any(f"predictions of {len(source)} images cannot be scored")


def raw_to_train_ids(table: ClassTable) -> np.ndarray:
  """The train id of each of the 256 raw ids, uint8 `[256]`; `IGNORE` for raw ids that are no class."""
  train_ids = np.full(256, IGNORE, np.uint8)
  for row in table.rows:
    train_ids[row.raw_id] = row.train_id
  return train_ids


def _list_files(path: pathlib.Path) -> Mapping[str, File]:
  if path.is_dir():
    return list_folder(path)
  if not path.is_file():
    raise FileNotFoundError(f"--predictions {path}: no such folder or archive")
  return list_zip(path) if zipfile.is_zipfile(path) else list_tar(path, _is_png)


def _is_png(name: str) -> bool:
  """Whether `name` is a PNG and not hidden; macOS adds hidden ones to archives."""
  return name.endswith(".png") and "/." not in f"/{name}"


def _read_prediction(file: File, shape: tuple[int, int]) -> np.ndarray:
  prediction = read_label(file)
  if prediction.shape != shape:
    (height, width), (h, w) = shape, prediction.shape
    raise ValueError(f"{file}: expected {height} x {width} pixels as the image has, got {h} x {w}")
  return prediction

"""The images of a submission: from a data set, from files or from a list of ids."""

from __future__ import annotations

import glob
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, UnidentifiedImageError

from ppool_jax.utils.files import local_path
from train.data.preparation.image_files import read_image
from train.data.submission_formats import SubmissionFormat
from train.submission.checks import ImageSizes
from train.utils.problems import Problems
from train.utils.progress import track

_SUFFIXES = (".jpg", ".jpeg", ".png")


class ImageFiles:
  """A source over image files: random access to {"id", "image" uint8 [H, W, 3]}."""

  def __init__(self, files: Sequence[pathlib.Path]):
    self._files = files

  def __len__(self) -> int:
    return len(self._files)

  def __getitem__(self, index: int) -> dict:
    file = self._files[index]
    return {"id": file.stem, "image": read_image(file)}


def find_images(pattern: str) -> list[pathlib.Path]:
  """The sorted files that match a pattern such as "photos/*.jpg", or the one file of that very name.

  Raises:
    FileNotFoundError: no file matches.
    ValueError: a folder or a URL.
  """
  path = local_path(pattern)
  if path.is_dir():
    raise ValueError(f'--images {pattern}: expected files, got a folder; write "{path / "*.jpg"}"')
  if path.is_file():
    return [path]
  files = [pathlib.Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
  if not (files := [file for file in files if file.is_file()]):
    raise FileNotFoundError(f"--images {pattern}: no such files")
  return files


def read_image_sizes(source, form: SubmissionFormat) -> ImageSizes:
  """Reads every image and returns the sizes by id, in the order of the source.

  Prediction takes hours, so problems of the images are reported before it starts.

  Args:
    source: random access to {"id", "image"}.

  Raises:
    ValueError: images are unreadable, have the wrong size, or a duplicate or invalid name; all are named.
  """
  sizes, problems = {}, Problems()
  for index in track(range(len(source)), "reading", "images"):
    try:
      example = source[index]
      image, size = _parse_id(example["id"], form), np.shape(example["image"])[:2]
    except (ValueError, OSError) as error:
      problems.add("unreadable images", str(error))
      continue
    if image in sizes:
      problems.add("duplicate ids", f"{example['id']}: another image has the id {image}")
    elif form.size and size != form.size:
      expected = "expected {} x {}, got {} x {}".format(*form.size, *size)
      problems.add("wrong heights and widths", f"{image}: {expected}")
    sizes[image] = size
  problems.raise_if_any(f"{form.name}'s server accepts no predictions of these images")
  return sizes


def list_expected_images(
  form: SubmissionFormat, folder: pathlib.Path | None, ids: pathlib.Path | None
) -> ImageSizes | None:
  """The images that must have a prediction: those of a list, or those below a folder.

  Args:
    folder: the images; provides their sizes.
    ids: a file with one id per line.

  Returns:
    The sizes by id, None where there is no folder; None instead of a mapping if neither is given.

  Raises:
    FileNotFoundError: the folder or list does not exist or is empty, or an image of the list is missing.
    ValueError: images are unreadable, or a name is not that of an image of the benchmark.
  """
  sizes = None if folder is None else _read_folder(form, pathlib.Path(folder))
  if ids is None:
    return sizes
  lines = pathlib.Path(ids).read_text().splitlines()
  images = [_parse_id(pathlib.PurePosixPath(line.strip()).name, form) for line in lines if line.strip()]
  if not images:
    raise FileNotFoundError(f"--ids {ids}: it contains no ids")
  missing = [image for image in images if sizes is not None and image not in sizes]
  if missing:
    raise FileNotFoundError(
      f"--images {folder}: no image of {', '.join(missing[:20])} ({len(missing)} in all)"
    )
  return {image: (sizes or {}).get(image) for image in images}


def _read_folder(form: SubmissionFormat, folder: pathlib.Path) -> ImageSizes:
  files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES)
  if not files:
    raise FileNotFoundError(f"--images {folder}: no images there")
  return {_parse_id(file.stem, form): _read_size(file) for file in track(files, "reading", "images")}


def _read_size(file: pathlib.Path) -> tuple[int, int]:
  """(height, width) from the image's header."""
  try:
    with Image.open(file) as image:
      return image.height, image.width
  except UnidentifiedImageError:
    raise ValueError(f"{file}: not a readable image") from None


def _parse_id(name: str, form: SubmissionFormat) -> str:
  """The image's id, from a file name with or without suffix."""
  stem = name.removesuffix(".jpg").removesuffix(".png")
  image = form.identify(stem)
  if image is None or not image.strip() or {"/", "\\"} & {*image}:
    start = " that begins with city_seq_frame, such as berlin_000000_000019" if form.id_pattern else ""
    raise ValueError(f"{name!r}: expected the name of an image{start}")
  return image

"""The images that need a prediction: of a data set, of files, of a list; their ids and sizes."""

from __future__ import annotations

import glob
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, UnidentifiedImageError

from train.data.preparation.image_files import read_image
from train.data.server_formats import Format
from train.submission.checks import Sizes
from train.utils.problems import Report
from train.utils.progress import track

_ENDINGS = (".jpg", ".jpeg", ".png")


class Photographs:
  """Random access to image files as to a data set's split: {"id", "image" uint8 [H, W, 3]}."""

  def __init__(self, files: Sequence[pathlib.Path]):
    self._files = files

  def __len__(self) -> int:
    return len(self._files)

  def __getitem__(self, index: int) -> dict:
    file = self._files[index]
    return {"id": file.stem, "image": read_image(file)}


def photographs(pattern: str) -> list[pathlib.Path]:
  """The files that a pattern such as "photos/*.jpg" fits.

  Raises:
    FileNotFoundError: there are none.
  """
  files = [pathlib.Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
  if not files:
    raise FileNotFoundError(f"--images {pattern}: no such files")
  return files


def survey(source, form: Format) -> Sizes:
  """Reads every image before any is predicted, which takes hours: the sizes by id, in their order.

  Args:
    source: random access to {"id", "image"}.

  Raises:
    ValueError: images that are unreadable, of the wrong size, of the same or an impossible name; all named.
  """
  sizes, report = {}, Report()
  for index in track(range(len(source)), "reading", "images"):
    try:
      example = source[index]
      image, size = _identify(example["id"], form), np.shape(example["image"])[:2]
    except (ValueError, OSError) as error:
      report.add("unreadable images", str(error))
      continue
    if image in sizes:
      report.add("images of one name", f"{example['id']}: there is {image} already")
    elif form.size and size != form.size:
      report.add(
        "wrong heights and widths", "{}: expected {} x {}, got {} x {}".format(image, *form.size, *size)
      )
    sizes[image] = size
  report.refuse(f"{form.name}'s server takes no predictions of these images")
  return sizes


def named(form: Format, folder: pathlib.Path | None, ids: pathlib.Path | None) -> Sizes | None:
  """The images that a user names: those below a folder, those of a list, or those of a list with the
  sizes that they have in the folder. None: neither is given.

  Raises:
    FileNotFoundError: no such folder or file, or there are none in it.
    ValueError: unreadable images, or a name that is no image's of that benchmark.
  """
  sizes = None if folder is None else _sizes(form, pathlib.Path(folder))
  if ids is None:
    return sizes
  lines = pathlib.Path(ids).read_text().splitlines()
  wanted = [_identify(pathlib.PurePosixPath(line.strip()).name, form) for line in lines if line.strip()]
  if not wanted:
    raise FileNotFoundError(f"--ids {ids}: there are none in it")
  lost = [image for image in wanted if sizes is not None and image not in sizes]
  if lost:
    raise FileNotFoundError(f"--images {folder}: no image of {', '.join(lost[:20])} ({len(lost)} in all)")
  return {image: (sizes or {}).get(image) for image in wanted}


def _sizes(form: Format, folder: pathlib.Path) -> Sizes:
  files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _ENDINGS)
  if not files:
    raise FileNotFoundError(f"--images {folder}: no images there")
  return {_identify(file.stem, form): _size(file) for file in track(files, "reading", "images")}


def _size(file: pathlib.Path) -> tuple[int, int]:
  """(height, width), of which the header tells."""
  try:
    with Image.open(file) as image:
      return image.size[::-1]
  except UnidentifiedImageError:
    raise ValueError(f"{file}: not a readable image") from None


def _identify(name: str, form: Format) -> str:
  """The image's id, of a stem or of a whole line of a list."""
  stem = name.removesuffix(".jpg").removesuffix(".png")
  image = form.identify(stem)
  if image is None or not image.strip() or {"/", "\\"} & {*image}:
    begin = " that begins with city_seq_frame, such as berlin_000000_000019" if form.begins else ""
    raise ValueError(f"{name!r}: expected the name of an image{begin}")
  return image

"""Image and label files: reading them, and saying which one is wrong."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import numpy as np
from PIL import Image

from train.data.classes import ClassTable


class Pair(NamedTuple):
  """An image and its label map."""

  id: str
  image: pathlib.Path
  label: pathlib.Path


def read_image(path: pathlib.Path) -> np.ndarray:
  """RGB uint8 `[H, W, 3]`.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not an image, or a truncated one; the file is named.
  """
  return np.asarray(_open(path).convert("RGB"))


def read_label(path: pathlib.Path, colours: bool = False) -> np.ndarray:
  """The values of a label map, uint8 `[H, W]`; of a palette image the indices, not the colours.

  Args:
    colours: read RGB colours `[H, W, 3]` instead.

  Raises:
    FileNotFoundError, ValueError: as `read_image`, and for an image with more than one channel.
  """
  image = _open(path)
  if colours:
    return np.asarray(image.convert("RGB"))
  if image.mode not in ("L", "P"):
    raise ValueError(f"{path}: expected a label map of one 8-bit channel, got mode {image.mode}")
  return np.asarray(image)


def check_pair(image: pathlib.Path, label: pathlib.Path, table: ClassTable) -> None:
  """Reads both files and refuses what training could not use.

  Raises:
    ValueError: unreadable, sizes that differ, or a label that `table` does not have.
  """
  pixels, raw = read_image(image), read_label(label)
  if pixels.shape[:2] != raw.shape:
    raise ValueError(f"{label}: label is {_size(raw)}, but {image} is {_size(pixels)}")
  table.to_train_ids(raw, str(label))


def _size(array: np.ndarray) -> str:
  return f"{array.shape[1]}x{array.shape[0]}"


def _open(path: pathlib.Path) -> Image.Image:
  try:
    image = Image.open(path)
    image.load()
  except FileNotFoundError:
    raise
  except (OSError, SyntaxError, ValueError) as error:
    raise ValueError(f"{path}: not a readable image ({error})") from error
  return image

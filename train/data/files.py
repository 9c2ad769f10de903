"""Image and label files: reading them, and saying which one is wrong."""

from __future__ import annotations

import hashlib
import io
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
  raw = read_label(label)
  check_sizes(image, read_image(image), label, raw)
  table.to_train_ids(raw, str(label))


def check_sizes(image: pathlib.Path, pixels: np.ndarray, label: pathlib.Path, raw: np.ndarray) -> None:
  """Refuses a label `raw` `[H, W]` that has another size than its image's `pixels` `[H, W, 3]`."""
  if pixels.shape[:2] != raw.shape:
    raise ValueError(f"{label}: label is {_size(raw)}, but {image} is {_size(pixels)}")


def refuse_repeats(splits: dict[str, list[Pair]]) -> None:
  """A frame of two splits would be trained on and then tested; one that stands twice counts double."""
  seen = {}
  for split, pairs in splits.items():
    for pair in pairs:
      if pair.id in seen:
        raise ValueError(f"{pair.image}: {pair.id} stands twice, in {seen[pair.id]} and in {split}")
      seen[pair.id] = split


def fingerprint(splits: dict[str, list[Pair]]) -> str:
  """Of the splits, the ids and the files' sizes: tells one source from another, wherever it lies."""
  files = [
    (split, pair.id, pair.image.stat().st_size, pair.label.stat().st_size)
    for split, pairs in splits.items()
    for pair in pairs
  ]
  return hashlib.sha256(repr(sorted(files)).encode()).hexdigest()[:16]


def rgb_file(path: pathlib.Path) -> str | io.BytesIO:
  """The file itself, unless its pixels are not RGB: palettes and transparency are resolved here."""
  with Image.open(path) as image:
    return str(path) if image.mode == "RGB" else png_file(read_image(path))


def png_file(array: np.ndarray) -> io.BytesIO:
  """The array, uint8 `[H, W]` or `[H, W, 3]`, as a PNG in memory."""
  file = io.BytesIO()
  Image.fromarray(array).save(file, "PNG")
  file.seek(0)
  return file


def _size(array: np.ndarray) -> str:
  return f"{array.shape[1]}x{array.shape[0]}"


def _open(path: pathlib.Path) -> Image.Image:
  try:
    with Image.open(path) as image:
      image.load()
      return image
  except FileNotFoundError:
    raise
  except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
    raise ValueError(f"{path}: not a readable image ({error})") from error

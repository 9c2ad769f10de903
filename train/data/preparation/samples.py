"""Images with their label maps: what a source holds, and everything that is wrong with it."""

from __future__ import annotations

import hashlib
import io
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from train.data.classes import ClassTable
from train.data.preparation.archives import Member
from train.data.preparation.image_files import File, png_file, read_image, read_label, rgb_file


class Pair(NamedTuple):
  """An image and its label map.

  Attributes:
    id: as in the publisher's lists.
    image: its file.
    label: the label map's file; None in a test split whose labels are not published.
    read: `label` to raw ids, uint8 `[H, W]`.
  """

  id: str
  image: File
  label: File | None
  read: Callable[[File], np.ndarray] = read_label


class Found(NamedTuple):
  """What lies in a source.

  Attributes:
    splits: disjoint; each is stored once.
    table: the classes.
    problems: what is wrong with the source as a whole, a line each.
    composed: splits that are others together, as VOC's trainval is train and val.
  """

  splits: dict[str, list[Pair]]
  table: ClassTable
  problems: Sequence[str] = ()
  composed: Mapping[str, list[str]] = types.MappingProxyType({})

  @property
  def pairs(self) -> list[Pair]:
    return [pair for pairs in self.splits.values() for pair in pairs]

  @property
  def unlabelled(self) -> list[str]:
    """Splits of images alone."""
    return [split for split, pairs in self.splits.items() if all(pair.label is None for pair in pairs)]


def examine(
  pair: Pair, table: ClassTable, size: tuple[int, int] | None
) -> tuple[list[str], np.ndarray | None]:
  """Reads both files: what is wrong with them, and the raw ids uint8 `[H, W]`.

  Args:
    size: the (height, width) that every image of the data set has; None where they differ.
  """
  problems = []
  image = _attempt(problems, lambda: read_image(pair.image))
  raw = None if pair.label is None else _attempt(problems, lambda: pair.read(pair.label))
  if raw is not None:
    _attempt(problems, lambda: table.to_train_ids(raw, str(pair.label)))
  if image is not None and raw is not None and image.shape[:2] != raw.shape:
    problems.append(f"{pair.label}: label is {_size(raw.shape)}, but {pair.image} is {_size(image.shape)}")
  elif image is not None and size and image.shape[:2] != tuple(size):
    problems.append(
      f"{pair.image}: expected {_size(size)}, got {_size(image.shape)}; use the full-size files"
    )
  return problems, raw


def encode(
  pair: Pair, table: ClassTable, size: tuple[int, int] | None = None
) -> tuple[str | io.BytesIO, io.BytesIO]:
  """What TFDS stores: the image's file as it is, and raw ids as a grey PNG, the same to every decoder.

  TFDS has no image that may be absent: an image without label map gets one of a single pixel, which
  `train.data.registry` drops.

  Raises:
    ValueError: files that are unreadable or wrong, as `examine` says.
  """
  problems, raw = examine(pair, table, size)
  if problems:
    raise ValueError("; ".join(problems))
  return rgb_file(pair.image), png_file(np.zeros((1, 1), np.uint8) if raw is None else raw)


def missing(pairs: Iterable[Pair]) -> bool:
  """Whether any file is not there."""
  return any(not file.is_file() for pair in pairs for file in (pair.image, pair.label) if file)


def repeats(splits: dict[str, list[Pair]]) -> list[str]:
  """A frame of two splits would be trained on and then tested; one that stands twice counts double."""
  seen, problems = {}, []
  for split, pairs in splits.items():
    for pair in pairs:
      if pair.id in seen:
        problems.append(f"{pair.image}: {pair.id} stands twice, in {seen[pair.id]} and in {split}")
      seen[pair.id] = split
  return problems


def fingerprint(splits: dict[str, list[Pair]]) -> str:
  """Of the splits, the ids and the files' sizes: tells one source from another, wherever it lies."""
  files = [
    (split, pair.id, *(_bytes(file) for file in (pair.image, pair.label) if file))
    for split, pairs in splits.items()
    for pair in pairs
  ]
  return hashlib.sha256(repr(sorted(files)).encode()).hexdigest()[:16]


def _attempt(problems: list[str], read: Callable[[], np.ndarray]) -> np.ndarray | None:
  try:
    return read()
  except (ValueError, OSError) as error:
    problems.append(str(error))
    return None


def _bytes(file: File) -> int:
  return file.size if isinstance(file, Member) else file.stat().st_size


def _size(shape: tuple[int, ...]) -> str:
  return f"{shape[1]}x{shape[0]}"

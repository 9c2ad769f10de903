"""Images with their label maps: what a source contains, and the validation of each sample."""

from __future__ import annotations

import hashlib
import io
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from train.data.classes import ClassTable
from train.data.preparation.archives import Member
from train.data.preparation.image_files import File, encode_png, read_image, read_label, to_rgb_file


class Sample(NamedTuple):
  """An image and its label map.

  Attributes:
    id: as in the publisher's lists.
    image: the image file.
    label: the label file; None in a test split whose labels are not published.
    read_label: reads `label` to raw ids, uint8 `[H, W]`.
  """

  id: str
  image: File
  label: File | None
  read_label: Callable[[File], np.ndarray] = read_label


class SourceIndex(NamedTuple):
  """The contents of a source.

  Attributes:
    splits: disjoint; each is stored once.
    table: the classes.
    problems: problems of the source as a whole, one line each.
    combined: splits that are unions of others, as VOC's trainval is of train and val.
  """

  splits: dict[str, list[Sample]]
  table: ClassTable
  problems: Sequence[str] = ()
  combined: Mapping[str, list[str]] = types.MappingProxyType({})

  @property
  def samples(self) -> list[Sample]:
    """The samples of all splits."""
    return [sample for samples in self.splits.values() for sample in samples]

  @property
  def unlabeled(self) -> list[str]:
    """The splits without label maps."""
    return [
      split for split, samples in self.splits.items() if all(sample.label is None for sample in samples)
    ]


def validate(
  sample: Sample, table: ClassTable, size: tuple[int, int] | None
) -> tuple[list[str], np.ndarray | None]:
  """Reads both files and returns their problems and the raw ids, uint8 `[H, W]`.

  Args:
    size: the (height, width) that every image of the data set has; None where they differ.
  """
  problems = []
  image = _try(problems, lambda: read_image(sample.image))
  label = sample.label
  raw = None if label is None else _try(problems, lambda: sample.read_label(label))
  if raw is not None:
    _try(problems, lambda: table.to_train_ids(raw, str(sample.label)))
  if image is not None and raw is not None and image.shape[:2] != raw.shape:
    sizes = f"{_format_size(raw.shape)}, but {sample.image} is {_format_size(image.shape)}"
    problems.append(f"{sample.label}: label is {sizes}")
  elif image is not None and size and image.shape[:2] != tuple(size):
    sizes = f"expected {_format_size(size)}, got {_format_size(image.shape)}"
    problems.append(f"{sample.image}: {sizes}; use the full-size files")
  return problems, raw


def encode(
  sample: Sample, table: ClassTable, size: tuple[int, int] | None = None
) -> tuple[str | io.BytesIO, io.BytesIO]:
  """Returns what TFDS stores: the image file unchanged, and the raw ids as a grayscale PNG.

  TFDS has no optional images: a sample without a label map gets one of a single pixel, which
  `train.data.prepared` drops.

  Raises:
    ValueError: the files have problems; see `validate`.
  """
  problems, raw = validate(sample, table, size)
  if problems:
    raise ValueError("; ".join(problems))
  return to_rgb_file(sample.image), encode_png(np.zeros((1, 1), np.uint8) if raw is None else raw)


def any_missing(samples: Iterable[Sample]) -> bool:
  """Whether any file does not exist."""
  return any(not file.is_file() for sample in samples for file in (sample.image, sample.label) if file)


def find_duplicates(splits: dict[str, list[Sample]]) -> list[str]:
  """Reports ids that occur twice: in one split they count double; in two, training data is tested on."""
  seen, problems = {}, []
  for split, samples in splits.items():
    for sample in samples:
      if sample.id in seen:
        problems.append(f"{sample.image}: duplicate id {sample.id}, in {seen[sample.id]} and in {split}")
      seen[sample.id] = split
  return problems


def fingerprint(splits: dict[str, list[Sample]]) -> str:
  """A digest of the splits, ids and file sizes; it identifies a source independently of its location."""
  files = [
    (split, sample.id, *(_num_bytes(file) for file in (sample.image, sample.label) if file))
    for split, samples in splits.items()
    for sample in samples
  ]
  return hashlib.sha256(repr(sorted(files)).encode()).hexdigest()[:16]


def _try(problems: list[str], read: Callable[[], np.ndarray]) -> np.ndarray | None:
  """Returns `read()`, or adds its error to `problems`."""
  try:
    return read()
  except (ValueError, OSError) as error:
    problems.append(str(error))
    return None


def _num_bytes(file: File) -> int:
  return file.size if isinstance(file, Member) else file.stat().st_size


def _format_size(shape: tuple[int, ...]) -> str:
  return f"{shape[1]}x{shape[0]}"

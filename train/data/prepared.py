"""Random access to what `python -m train.prepare` wrote."""

from __future__ import annotations

import bisect
import contextlib
import io
import itertools
from collections.abc import Sequence

import numpy as np
from PIL import Image

from train.data.classes import ClassTable
from train.data.corrupt import CorruptExample


class Unlabelled(dict):
  """{"id", "image"} of a test split: who asks for the label is told that there is none."""

  def __init__(self, example: dict, split: str):
    super().__init__(example)
    self._split = split

  def __missing__(self, key):
    raise ValueError(f"{self._split} has no {key}s: it can be predicted, but not trained on or evaluated")


class TfdsSource:
  """Random access to a prepared TFDS split: {"id", "image" [H, W, 3], "label" [H, W] in train ids}.

  Args:
    source: TFDS's own, without decoding: image and label (raw ids) are files.
    folder: where it is, for errors.
    unlabelled: what the split is called, where it has no labels; its examples are `Unlabelled`.
  """

  def __init__(self, source, table: ClassTable, folder: str = "", unlabelled: str = ""):
    self._source, self._table, self._folder, self._unlabelled = source, table, folder, unlabelled

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, index: int) -> dict:
    if not 0 <= index < len(self):
      raise IndexError(f"index: expected 0..{len(self) - 1}, got {index}")
    try:
      example = self._source[index]
      image, label = decoded(example["image"]), decoded(example["label"])
    except Exception as error:  # whatever Array Record or the decoder make of a damaged file
      raise CorruptExample(
        f"{self._folder}: {self._described(index)} is unreadable ({str(error)[:300]}); delete that folder "
        "and prepare it again, or leave such ones out: --config.data.on_corrupt=skip"
      ) from error
    name = _text(example["id"])
    if self._unlabelled:
      return Unlabelled({"id": name, "image": image}, self._unlabelled)
    return {"id": name, "image": image, "label": self._table.to_train_ids(label, name)}

  def _described(self, index: int) -> str:
    """Example `index` by all that can still be said of it: data set, split, id, file."""
    info = self._source.dataset_info.splits[self._source.split]
    ends = list(itertools.accumulate(info.shard_lengths))
    shard = bisect.bisect_right(ends, index)
    place = index - (ends[shard] - info.shard_lengths[shard])
    said = f"{self._source.dataset_info.name}, split {self._source.split!r}: example {index}"
    with contextlib.suppress(Exception):  # the record itself may be damaged
      said += f", id {self._id(index)!r}"
    return f"{said}, record {place} of {sorted(info.filenames)[shard]},"

  def _id(self, index: int) -> str:
    """The id of an example whose image or label cannot be decoded."""
    import tensorflow_datasets as tfds

    record, features = self._source.data_source[index], self._source.dataset_info.features
    as_stored = dict.fromkeys(("image", "label"), tfds.decode.SkipDecoding())
    stored = features.deserialize_example_np(record, decoders=as_stored)["id"]
    if not stored:  # what TFDS makes of an empty record
      raise ValueError("no id")
    return _text(stored)


def decoded(file: bytes) -> np.ndarray:
  """An image's or label map's pixels, read by what checked them when they were prepared.

  TFDS would take OpenCV, which makes colours of a palette and does not say what is wrong with a file.
  """
  with Image.open(io.BytesIO(file)) as image:
    return np.asarray(image)


def _text(value) -> str:
  return value.decode() if isinstance(value, bytes) else value


class Joined:
  """Several sources, one behind the other."""

  def __init__(self, sources: Sequence):
    self._sources = sources
    self._ends = list(itertools.accumulate(len(source) for source in sources))

  def __len__(self) -> int:
    return self._ends[-1]

  def __getitem__(self, index: int) -> dict:
    if not 0 <= index < len(self):
      raise IndexError(f"index: expected 0..{len(self) - 1}, got {index}")
    part = bisect.bisect_right(self._ends, index)
    return self._sources[part][index - (self._ends[part] - len(self._sources[part]))]


class Part:
  """The examples of `source` at `indices`."""

  def __init__(self, source, indices: Sequence[int]):
    self._source, self._indices = source, indices

  def __len__(self) -> int:
    return len(self._indices)

  def __getitem__(self, index: int) -> dict:
    return self._source[self._indices[index]]

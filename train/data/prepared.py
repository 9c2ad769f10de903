"""Random-access sources over the data that `python -m train.prepare` wrote."""

from __future__ import annotations

import bisect
import contextlib
import io
import itertools
from collections.abc import Sequence

import numpy as np
from PIL import Image

from train.data.classes import ClassTable
from train.data.corrupt import CorruptExampleError


class UnlabeledExample(dict):
  """{"id", "image"} of a test split; access to the label raises an error that says why it is absent."""

  def __init__(self, example: dict, split: str):
    super().__init__(example)
    self._split = split

  def __missing__(self, key):
    raise ValueError(f"{self._split} has no {key}s: it can be predicted, but not trained on or evaluated")


class TfdsSource:
  """Random access to a prepared TFDS split: {"id", "image" [H, W, 3], "label" [H, W] in train ids}.

  Args:
    source: TFDS's data source without decoding: image and label (raw ids) are encoded files.
    folder: its directory, for error messages.
    unlabeled: the split's name if it has no labels; its examples are then `UnlabeledExample`.
  """

  def __init__(self, source, table: ClassTable, folder: str = "", unlabeled: str = ""):
    self._source, self._table, self._folder, self._unlabeled = source, table, folder, unlabeled

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, index: int) -> dict:
    _check_index(index, len(self))
    try:
      example = self._source[index]
      image, label = decode_image(example["image"]), decode_image(example["label"])
    except Exception as error:  # Array Record and the decoder raise many types for a corrupt file
      raise CorruptExampleError(
        f"{self._folder}: {self._describe(index)} is unreadable ({str(error)[:300]}); delete that folder "
        "and prepare it again, or skip corrupt examples: --config.data.on_corrupt=skip"
      ) from error
    name = _to_str(example["id"])
    if self._unlabeled:
      return UnlabeledExample({"id": name, "image": image}, self._unlabeled)
    return {"id": name, "image": image, "label": self._table.to_train_ids(label, name)}

  def _describe(self, index: int) -> str:
    """Data set, split, index, record and file of a corrupt example, and its id if that can be read."""
    info = self._source.dataset_info.splits[self._source.split]
    ends = list(itertools.accumulate(info.shard_lengths))
    shard = bisect.bisect_right(ends, index)
    record = index - (ends[shard] - info.shard_lengths[shard])
    text = f"{self._source.dataset_info.name}, split {self._source.split!r}: example {index}"
    with contextlib.suppress(Exception):  # the record itself may be corrupt
      text += f", id {self._read_id(index)!r}"
    return f"{text}, record {record} of {sorted(info.filenames)[shard]},"

  def _read_id(self, index: int) -> str:
    """Reads the id of an example whose image or label cannot be decoded."""
    import tensorflow_datasets as tfds

    record, features = self._source.data_source[index], self._source.dataset_info.features
    skip_decoding = dict.fromkeys(("image", "label"), tfds.decode.SkipDecoding())
    example_id = features.deserialize_example_np(record, decoders=skip_decoding)["id"]
    if not example_id:  # TFDS returns an empty id for an empty record
      raise ValueError("no id")
    return _to_str(example_id)


class ConcatSource:
  """The concatenation of several sources."""

  def __init__(self, sources: Sequence):
    self._sources = sources
    self._ends = list(itertools.accumulate(len(source) for source in sources))

  def __len__(self) -> int:
    return self._ends[-1]

  def __getitem__(self, index: int) -> dict:
    _check_index(index, len(self))
    part = bisect.bisect_right(self._ends, index)
    return self._sources[part][index - (self._ends[part] - len(self._sources[part]))]


class SubsetSource:
  """The examples of `source` at `indices`."""

  def __init__(self, source, indices: Sequence[int]):
    self._source, self._indices = source, indices

  def __len__(self) -> int:
    return len(self._indices)

  def __getitem__(self, index: int) -> dict:
    return self._source[self._indices[index]]


def decode_image(file: bytes) -> np.ndarray:
  """Decodes an image or a label map with Pillow, which also validated it during preparation.

  TFDS would use OpenCV, which converts palette images to colors and does not explain decoding errors.
  """
  with Image.open(io.BytesIO(file)) as image:
    return np.asarray(image)


def _check_index(index: int, length: int) -> None:
  if not 0 <= index < length:
    raise IndexError(f"index: expected 0..{length - 1}, got {index}")


def _to_str(value) -> str:
  return value.decode() if isinstance(value, bytes) else value

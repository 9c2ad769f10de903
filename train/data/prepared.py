"""Random access to what `python -m train.prepare` wrote."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence

import numpy as np

from train.data.classes import ClassTable


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
    source: TFDS's own, whose labels are raw ids `[H, W, 1]`.
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
    except Exception as error:  # whatever Array Record or the decoder make of a damaged file
      raise ValueError(
        f"{self._folder}: example {index} is unreadable ({error}); delete that folder and prepare it again"
      ) from error
    name = example["id"].decode() if isinstance(example["id"], bytes) else str(example["id"])
    image = np.asarray(example["image"])
    if self._unlabelled:
      return Unlabelled({"id": name, "image": image}, self._unlabelled)
    return {"id": name, "image": image, "label": self._table.to_train_ids(example["label"][..., 0], name)}


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

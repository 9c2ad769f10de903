"""The table of a data set's classes, from which its palette, names and label map are derived."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

IGNORE = 255
"""The train id of pixels that count nowhere."""


@dataclasses.dataclass(frozen=True)
class LabelClass:
  """One row: a raw id as in the label files, and what training makes of it.

  Attributes:
    name: as the data set's publisher spells it.
    raw_id: the value in the label files.
    train_id: 0..K-1, or `IGNORE`.
    colour: RGB, each 0..255.
    thin: whether it is one of the thin structures that P-pooling is about.
  """

  name: str
  raw_id: int
  train_id: int
  colour: tuple[int, int, int]
  thin: bool = False


class ClassTable:
  """The classes of a data set.

  Args:
    rows: one `LabelClass` a raw id; the train ids other than `IGNORE` must be 0..K-1.

  Raises:
    ValueError: a raw id that stands twice, or train ids with a gap.
  """

  def __init__(self, rows: Sequence[LabelClass]):
    self.rows = tuple(rows)
    raw_ids = [row.raw_id for row in self.rows]
    if len(set(raw_ids)) < len(raw_ids):
      raise ValueError(f"raw ids: expected each once, got {sorted(raw_ids)}")
    self.classes = tuple(sorted((r for r in self.rows if r.train_id != IGNORE), key=lambda r: r.train_id))
    train_ids = [row.train_id for row in self.classes]
    if train_ids != list(range(len(train_ids))):
      raise ValueError(f"train ids: expected 0..K-1, got {train_ids}")

  @property
  def num_classes(self) -> int:
    return len(self.classes)

  @property
  def names(self) -> tuple[str, ...]:
    return tuple(row.name for row in self.classes)

  @property
  def thin(self) -> tuple[int, ...]:
    """Train ids of the thin classes."""
    return tuple(row.train_id for row in self.classes if row.thin)

  @property
  def colours(self) -> dict[int, tuple[int, int, int]]:
    """RGB by raw id."""
    return {row.raw_id: row.colour for row in self.rows}

  def palette(self) -> np.ndarray:
    """RGB for each of the 256 values of a label map in train ids, uint8 `[256, 3]`."""
    palette = np.zeros((256, 3), np.uint8)
    for row in reversed(self.rows):  # of several ignored rows the first gives its colour
      palette[row.train_id] = row.colour
    return palette

  def to_raw_ids(self, train: np.ndarray) -> np.ndarray:
    """Train ids 0..K-1 to the raw ids of the label files, uint8 of the same shape.

    Raises:
      ValueError: a value that is no class.
    """
    if train.size and train.max() >= self.num_classes:
      raise ValueError(f"train ids: expected 0..{self.num_classes - 1}, got {train.max()}")
    return np.array([row.raw_id for row in self.classes], np.uint8)[train]

  def to_train_ids(self, raw: np.ndarray, source: str) -> np.ndarray:
    """Raw ids to train ids, uint8 of the same shape.

    Args:
      raw: integers, any shape.
      source: the file they came from, for the error.

    Raises:
      ValueError: a value that the table does not have, with the file.
    """
    table = np.full(256, -1, np.int16)
    for row in self.rows:
      table[row.raw_id] = row.train_id
    mapped = table[raw]
    if (mapped < 0).any():
      unknown = np.unique(raw[mapped < 0]).tolist()
      known = _ranges(sorted(row.raw_id for row in self.rows))
      raise ValueError(f"{source}: label {unknown[0]} is not in the table (it has {known})")
    return mapped.astype(np.uint8)

  def to_json(self) -> list[list]:
    """The rows as JSON has them, for `from_json`."""
    return [[row.name, row.raw_id, row.train_id, list(row.colour), row.thin] for row in self.rows]

  @classmethod
  def from_json(cls, rows: list[list]) -> ClassTable:
    """The table whose `to_json` gave `rows`."""
    return cls([LabelClass(name, raw, train, tuple(rgb), thin) for name, raw, train, rgb, thin in rows])


def _ranges(ids: list[int]) -> str:
  """[0, 1, 2, 255] as "0..2, 255"."""
  starts = [i for i in ids if i - 1 not in ids]
  ends = [i for i in ids if i + 1 not in ids]
  pairs = zip(starts, ends, strict=True)
  return ", ".join(str(start) if start == end else f"{start}..{end}" for start, end in pairs)

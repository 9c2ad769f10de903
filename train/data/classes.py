"""The class table of a data set: names, colors and the mapping between raw ids and train ids."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

IGNORE = 255
"""The train id of pixels that neither the loss nor a metric counts."""


@dataclasses.dataclass(frozen=True)
class LabelClass:
  """One row of a class table: a raw id of the label files and its train id.

  Attributes:
    name: as the data set's publisher spells it.
    raw_id: the value in the label files.
    train_id: 0..K-1, or `IGNORE`.
    color: RGB, each 0..255.
    thin: whether the class is a thin structure, for which `thin_iou` is reported.
  """

  name: str
  raw_id: int
  train_id: int
  color: tuple[int, int, int]
  thin: bool = False


class ClassTable:
  """The classes of a data set.

  Args:
    rows: one `LabelClass` for each raw id; the train ids other than `IGNORE` must be 0..K-1.

  Raises:
    ValueError: a raw id occurs twice, or the train ids have a gap.
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
    """K, without the ignored rows."""
    return len(self.classes)

  @property
  def names(self) -> tuple[str, ...]:
    """Class names in the order of the train ids."""
    return tuple(row.name for row in self.classes)

  @property
  def thin(self) -> tuple[int, ...]:
    """Train ids of the thin classes."""
    return tuple(row.train_id for row in self.classes if row.thin)

  @property
  def colors(self) -> dict[int, tuple[int, int, int]]:
    """RGB by raw id."""
    return {row.raw_id: row.color for row in self.rows}

  def palette(self) -> np.ndarray:
    """RGB for each of the 256 values of a label map in train ids, uint8 `[256, 3]`."""
    palette = np.zeros((256, 3), np.uint8)
    for row in reversed(self.rows):  # the first of several ignored rows determines their color
      palette[row.train_id] = row.color
    return palette

  def to_raw_ids(self, train: np.ndarray) -> np.ndarray:
    """Converts train ids 0..K-1 to the raw ids of the label files, uint8 of the same shape.

    Raises:
      ValueError: a value is not the train id of a class.
    """
    if train.size and train.max() >= self.num_classes:
      raise ValueError(f"train ids: expected 0..{self.num_classes - 1}, got {train.max()}")
    return np.array([row.raw_id for row in self.classes], np.uint8)[train]

  def to_train_ids(self, raw: np.ndarray, source: str) -> np.ndarray:
    """Converts raw ids to train ids, uint8 of the same shape.

    Args:
      raw: integers, any shape.
      source: the file of the label map, for the error message.

    Raises:
      ValueError: a value is not in the table; the message names the file.
    """
    table = np.full(256, -1, np.int16)
    for row in self.rows:
      table[row.raw_id] = row.train_id
    mapped = table[raw]
    if (mapped < 0).any():
      unknown = np.unique(raw[mapped < 0]).tolist()
      known = _format_ranges(sorted(row.raw_id for row in self.rows))
      raise ValueError(f"{source}: label {unknown[0]} is not in the table (it has {known})")
    return mapped.astype(np.uint8)

  def to_json(self) -> list[list]:
    """The rows as JSON values, for `from_json`."""
    return [[row.name, row.raw_id, row.train_id, list(row.color), row.thin] for row in self.rows]

  @classmethod
  def from_json(cls, rows: list[list]) -> ClassTable:
    """The inverse of `to_json`."""
    return cls([LabelClass(name, raw, train, tuple(rgb), thin) for name, raw, train, rgb, thin in rows])


def _format_ranges(ids: list[int]) -> str:
  """Formats [0, 1, 2, 255] as "0..2, 255"."""
  starts = [i for i in ids if i - 1 not in ids]
  ends = [i for i in ids if i + 1 not in ids]
  ranges = zip(starts, ends, strict=True)
  return ", ".join(str(start) if start == end else f"{start}..{end}" for start, end in ranges)

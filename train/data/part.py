"""A part of a data set."""

from __future__ import annotations

from collections.abc import Sequence


class Part:
  """The examples of `source` at `indices`."""

  def __init__(self, source, indices: Sequence[int]):
    self._source, self._indices = source, indices

  def __len__(self) -> int:
    return len(self._indices)

  def __getitem__(self, index: int) -> dict:
    return self._source[self._indices[index]]

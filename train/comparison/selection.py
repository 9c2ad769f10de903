"""Selects the images of Figure 4: those with the largest gain, or those with given ids."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

from ppool_jax.utils.lookup import closest
from train.comparison.examples import Example
from train.data.prepared import SubsetSource
from train.utils.progress import track


class LargestGains:
  """The `count` images in which the other run gains most; equal gains are ordered by id.

  No more than these are in memory. Images whose pixels are all ignored are never among them.
  """

  def __init__(self, count: int):
    self._count = count
    self._ranked: list[Example] = []

  def add(self, example: Example) -> None:
    if not math.isnan(example.gain):
      bisect.insort(self._ranked, example, key=lambda ranked: (-ranked.gain, ranked.id))
      del self._ranked[self._count :]

  def examples(self) -> list[Example]:
    return list(self._ranked)


class GivenIds:
  """The images with these ids, in their order."""

  def __init__(self, ids: Sequence[str]):
    self._by_id: dict[str, Example | None] = dict.fromkeys(ids)

  def add(self, example: Example) -> None:
    if example.id in self._by_id:
      self._by_id[example.id] = example

  def examples(self) -> list[Example]:
    return [example for example in self._by_id.values() if example]


def find_examples(source, ids: Sequence[str]) -> SubsetSource:
  """Finds the examples with these ids.

  Raises:
    ValueError: an id does not exist; the message suggests the most similar one.
  """
  indices, known = {}, []
  for index in track(range(len(source)), "looking for the images"):
    known.append(str(source[index]["id"]))
    if known[-1] in ids:
      indices[known[-1]] = index
    if len(indices) == len(set(ids)):
      return SubsetSource(source, sorted(indices.values()))
  missing = next(name for name in ids if name not in indices)
  near = closest(missing, known, cutoff=0.0) or known[0]
  raise ValueError(f"--images: no image {missing!r} among the {len(known)}; did you mean {near!r}?")

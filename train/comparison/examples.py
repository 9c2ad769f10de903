"""The images of Figure 4: which are shown, and where the predictions differ most."""

from __future__ import annotations

import bisect
import csv
import math
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ppool_jax.utils.lookup import closest
from train.data.classes import IGNORE, ClassTable
from train.data.prepared import SubsetSource
from train.utils.progress import track
from train.visualization.colorize import to_palette_image, write_image

_SHARE = 0.25  # of the image's sides: those of the box


class Box(NamedTuple):
  """A part of an image, in pixels."""

  top: int
  left: int
  height: int
  width: int

  def of(self, image: np.ndarray) -> np.ndarray:
    return image[self.top : self.top + self.height, self.left : self.left + self.width]


class Example(NamedTuple):
  """An image with both runs' predictions.

  Attributes:
    image: RGB uint8 `[H, W, 3]`.
    label, predictions: train ids uint8 `[H, W]`; of the baseline and of the other.
    scores: `train.evaluation.best_worst.image_miou` of both.
  """

  id: str
  image: np.ndarray
  label: np.ndarray
  predictions: tuple[np.ndarray, np.ndarray]
  scores: tuple[float, float]

  @property
  def gain(self) -> float:
    """By how much the other's score is higher; NaN if all pixels are ignored."""
    return self.scores[1] - self.scores[0]

  def box(self) -> Box | None:
    """A quarter of the sides, where the predictions differ in most pixels that count; None: nowhere."""
    differ = (self.predictions[0] != self.predictions[1]) & (self.label != IGNORE)
    if not differ.any():
      return None
    height, width = (max(1, round(_SHARE * side)) for side in differ.shape)
    # Sums over all boxes from one table of sums.
    sums = np.pad(differ.cumsum(0, dtype=np.int64).cumsum(1), ((1, 0), (1, 0)))
    counts = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    best = np.argwhere(counts == counts.max())
    # Of equal ones that in the middle, so that what differs is not at an edge.
    top, left = best[np.square(best - best.mean(0)).sum(1).argmin()].tolist()
    return Box(top, left, height, width)


class MostGaining:
  """The `count` images in which the other run gains most; of equal gains those with the first ids.

  No more than these are in memory. Images whose pixels are all ignored are never among them.
  """

  def __init__(self, count: int):
    self._count = count
    self._kept: list[Example] = []

  def add(self, example: Example) -> None:
    if not math.isnan(example.gain):
      bisect.insort(self._kept, example, key=lambda kept: (-kept.gain, kept.id))
      del self._kept[self._count :]

  def examples(self) -> list[Example]:
    return list(self._kept)


class Named:
  """The images of these ids, in their order."""

  def __init__(self, ids: Sequence[str]):
    self._kept: dict[str, Example | None] = dict.fromkeys(ids)

  def add(self, example: Example) -> None:
    if example.id in self._kept:
      self._kept[example.id] = example

  def examples(self) -> list[Example]:
    return [example for example in self._kept.values() if example]


def find(source, ids: Sequence[str]) -> SubsetSource:
  """The examples of these ids.

  Raises:
    ValueError: an id that is not there, with the one that is spelt most like it.
  """
  found, known = {}, []
  for index in track(range(len(source)), "looking for the images"):
    known.append(str(source[index]["id"]))
    if known[-1] in ids:
      found[known[-1]] = index
    if len(found) == len(set(ids)):
      return SubsetSource(source, sorted(found.values()))
  missing = next(name for name in ids if name not in found)
  near = closest(missing, known, cutoff=0.0) or known[0]
  raise ValueError(f"--images: no image {missing!r} among the {len(known)}; did you mean {near!r}?")


def write_panels(examples: Sequence[Example], table: ClassTable, folder: pathlib.Path) -> None:
  """FOLDER/RANK-ID-image.png and -truth, -baseline, -other, palette images of the train ids."""
  folder.mkdir(parents=True, exist_ok=True)
  for rank, example in enumerate(examples, 1):
    name = f"{rank:02}-{example.id.replace('/', '-')}"
    write_image(example.image, folder / f"{name}-image.png")
    maps = zip(("truth", "baseline", "other"), (example.label, *example.predictions), strict=True)
    for kind, labels in maps:
      write_image(to_palette_image(labels, table), folder / f"{name}-{kind}.png")


def write_examples(examples: Sequence[Example], path: pathlib.Path) -> None:
  """A row an image: mean IoU over the classes in its truth, in per cent, gain in points, and the box."""
  with path.open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["rank", "id", "baseline", "other", "gain", *(f"box_{side}" for side in Box._fields)])
    for rank, example in enumerate(examples, 1):
      numbers = [100 * value for value in (*example.scores, example.gain)]
      writer.writerow([rank, example.id, *numbers, *(example.box() or [None] * 4)])

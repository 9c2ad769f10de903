"""Images with the predictions of two runs, the box where these differ most, and files of both."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from train.data.classes import IGNORE, ClassTable
from train.utils.csv_files import write_csv
from train.visualization.colorize import to_palette_image, write_image

_BOX_SHARE = 0.25  # the box's sides as a share of the image's


class Box(NamedTuple):
  """A rectangle in an image, in pixels."""

  top: int
  left: int
  height: int
  width: int

  def crop(self, image: np.ndarray) -> np.ndarray:
    return image[self.top : self.top + self.height, self.left : self.left + self.width]


class Example(NamedTuple):
  """An image with the predictions of both runs.

  Attributes:
    image: RGB uint8 `[H, W, 3]`.
    label, predictions: train ids uint8 `[H, W]`; predictions of the baseline and of the other run.
    scores: `train.evaluation.best_worst.image_miou` of both runs.
  """

  id: str
  image: np.ndarray
  label: np.ndarray
  predictions: tuple[np.ndarray, np.ndarray]
  scores: tuple[float, float]

  @property
  def gain(self) -> float:
    """The other run's score minus the baseline's; NaN if all pixels are ignored."""
    return self.scores[1] - self.scores[0]

  def difference_box(self) -> Box | None:
    """The box, a quarter of each side, in which the predictions differ in most pixels that are not ignored.

    None if they differ nowhere.
    """
    differ = (self.predictions[0] != self.predictions[1]) & (self.label != IGNORE)
    if not differ.any():
      return None
    height, width = (max(1, round(_BOX_SHARE * side)) for side in differ.shape)
    # A summed-area table gives the count of every box.
    sums = np.pad(differ.cumsum(0, dtype=np.int64).cumsum(1), ((1, 0), (1, 0)))
    counts = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    best = np.argwhere(counts == counts.max())
    # Of equal boxes the middle one, which centers the difference.
    top, left = best[np.square(best - best.mean(0)).sum(1).argmin()].tolist()
    return Box(top, left, height, width)


def write_panels(examples: Sequence[Example], table: ClassTable, folder: pathlib.Path) -> None:
  """Writes FOLDER/RANK-ID-image.png and the palette images -truth, -baseline and -other of train ids."""
  folder.mkdir(parents=True, exist_ok=True)
  for rank, example in enumerate(examples, 1):
    name = f"{rank:02}-{example.id.replace('/', '-')}"
    write_image(example.image, folder / f"{name}-image.png")
    maps = zip(("truth", "baseline", "other"), (example.label, *example.predictions), strict=True)
    for kind, labels in maps:
      write_image(to_palette_image(labels, table), folder / f"{name}-{kind}.png")


def write_examples(examples: Sequence[Example], path: pathlib.Path) -> None:
  """Writes a CSV row per image: both scores in per cent, the gain in points, and the box."""
  header = ["rank", "id", "baseline", "other", "gain", *(f"box_{side}" for side in Box._fields)]
  rows = []
  for rank, example in enumerate(examples, 1):
    numbers = [100 * value for value in (*example.scores, example.gain)]
    rows.append([rank, example.id, *numbers, *(example.difference_box() or [None] * 4)])
  write_csv(path, header, rows)

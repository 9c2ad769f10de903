"""The passes over a data set that make an analysis."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from train.analysis.boundary import EDGE, edge_pixels, windows_at_edges
from train.analysis.observe import Observer, initial_alpha
from train.analysis.picture import AlphaPicture
from train.analysis.shifts import POOLINGS, ShiftSensitivity
from train.analysis.statistics import UnitStatistics
from train.analysis.units import check_pooling
from train.experiment.experiment import open_split
from train.experiment.run import Run, open_run
from train.utils.progress import track

SHIFT_IMAGES = 16
"""Images on which shifts are measured: each takes nine forward passes."""


class Analysis(NamedTuple):
  """What an analysis found.

  Attributes:
    about: of what it is: data, split, step, numbers of images, pixels of a boundary.
    statistics: by unit.
    results: by unit, for JSON: `UnitStatistics.results`, and "shift".
    picture: what Figure 6 shows, of the first image.
  """

  about: dict
  statistics: dict[str, UnitStatistics]
  results: dict[str, dict]
  picture: AlphaPicture


def analyze_run(
  workdir: pathlib.Path, split: str | None = None, step: int | None = None, images: int | None = None
) -> Analysis:
  """Analyzes a run; see `train.analyze.analyze` for arguments and errors."""
  run = open_run(workdir, step)
  observer = Observer(run.experiment)
  check_pooling(observer.units, str(workdir))
  split = split or run.config.data.eval_split
  source = open_split(run.config, split)
  chosen = _spaced(len(source), images or len(source))
  statistics, picture, labeled = _observe(run, observer, source, chosen)
  shifts = _shift(run, observer, source, [chosen[i] for i in _spaced(len(chosen), SHIFT_IMAGES)])
  results = {name: {**unit.results(), "shift": shifts[name]} for name, unit in statistics.items()}
  about = {
    "data": run.config.data.name,
    "split": split,
    "step": run.step,
    "images": len(chosen),
    "labeled_images": labeled,
    "boundary_pixels": EDGE,
    "shift_images": min(len(chosen), SHIFT_IMAGES),
  }
  return Analysis(about, statistics, results, picture)


def _observe(run: Run, observer: Observer, source, chosen: Sequence[int]) -> tuple:
  """(statistics by unit, picture of the first image, number of images with labels)."""
  first = source[chosen[0]]["image"]
  initial = initial_alpha(run.experiment, run.variables, first, run.config.seed)
  statistics = {name: UnitStatistics(unit, initial[name]) for name, unit in observer.units.items()}
  picture, labeled = None, 0
  for index in track(chosen, "analyzing", "images"):
    example = source[index]
    observed, label = observer(run.variables, example["image"]), example.get("label")
    if picture is None:
      maps = {name: found.alpha for name, found in observed.items()}
      picture = AlphaPicture(example["image"], observer.units, maps, initial)
    edges = None if label is None else edge_pixels(label)
    labeled += label is not None
    for name, found in observed.items():
      parts = () if label is None else windows_at_edges(
        edges, label, observer.units[name], found.alpha.shape[:2]
      )  # fmt: skip
      statistics[name].add(found, *parts)
  return statistics, picture, labeled


def _shift(run: Run, observer: Observer, source, chosen: Sequence[int]) -> dict[str, dict]:
  """{unit: {pooling: {"mean", "standard_error"}}} over the images."""
  sensitivity = ShiftSensitivity(run.experiment, observer.units)
  found = [sensitivity(run.variables, source[i]["image"]) for i in track(chosen, "shifting", "images")]
  return {
    unit: {pooling: _summary([one[pooling][unit] for one in found]) for pooling in POOLINGS}
    for unit in observer.units
  }


def _summary(changes: list[float]) -> dict[str, float | None]:
  """Of the changes that are numbers: a unit whose output is all zero has none."""
  finite = [change for change in changes if math.isfinite(change)]
  error = np.std(finite, ddof=1) / math.sqrt(len(finite)) if len(finite) > 1 else None
  return {"mean": np.mean(finite) if finite else None, "standard_error": error}


def _spaced(length: int, count: int) -> list[int]:
  """At most `count` of the numbers below `length`, evenly spaced."""
  return np.linspace(0, length - 1, min(count, length)).round().astype(int).tolist()

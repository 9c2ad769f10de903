"""Collects alpha statistics of a run in a pass over a data set."""

from __future__ import annotations

import itertools
import math
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from train.analysis.boundary import EDGE, find_edge_pixels, split_windows_at_edges
from train.analysis.observe import Observer, compute_initial_alpha
from train.analysis.picture import AlphaPicture
from train.analysis.shifts import POOLINGS, ShiftSensitivity
from train.analysis.statistics import UnitStatistics, mean_and_error
from train.analysis.units import require_ppool
from train.experiment.experiment import open_split
from train.experiment.run import Run, open_run
from train.utils.progress import track

SHIFT_IMAGES = 16
"""Number of images on which shifts are measured; each needs nine forward passes."""


class Analysis(NamedTuple):
  """The results of an analysis.

  Attributes:
    about: data set, split, step, numbers of images, width of the boundary in pixels.
    statistics: statistics by unit.
    results: JSON results by unit: `UnitStatistics.results` and "shift".
    picture: alpha of the first image, for Figure 6.
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
  require_ppool(observer.units, str(workdir))
  split = split or str(run.config.data.eval_split)
  source = open_split(run.config, split)
  indices = _spaced_indices(len(source), images or len(source))
  statistics, picture, labeled = _observe(run, observer, source, indices)
  shifts = _measure_shifts(
    run, observer, source, [indices[i] for i in _spaced_indices(len(indices), SHIFT_IMAGES)]
  )
  results = {name: {**unit.results(), "shift": shifts[name]} for name, unit in statistics.items()}
  about = {
    "data": run.config.data.name,
    "split": split,
    "step": run.step,
    "images": len(indices),
    "labeled_images": labeled,
    "boundary_pixels": EDGE,
    "shift_images": min(len(indices), SHIFT_IMAGES),
  }
  return Analysis(about, statistics, results, picture)


def _observe(run: Run, observer: Observer, source, indices: Sequence[int]) -> tuple:
  """Returns (statistics by unit, alpha of the first image, number of labeled images)."""
  first = source[indices[0]]["image"]
  initial = compute_initial_alpha(run.experiment, run.variables, first, run.config.seed)
  statistics = {name: UnitStatistics(unit, initial[name]) for name, unit in observer.units.items()}
  picture, labeled = None, 0
  for index in track(indices, "analyzing", "images"):
    example = source[index]
    observed, label = observer(run.variables, example["image"]), example.get("label")
    if picture is None:
      maps = {name: observation.alpha for name, observation in observed.items()}
      picture = AlphaPicture(example["image"], observer.units, maps, initial)
    edges = None if label is None else find_edge_pixels(label)
    labeled += label is not None
    for name, observation in observed.items():
      height, width = observation.alpha.shape[:2]
      parts = () if label is None or edges is None else split_windows_at_edges(
        edges, label, observer.units[name], (height, width)
      )  # fmt: skip
      statistics[name].add(observation, *parts)
  return statistics, picture, labeled


def _measure_shifts(run: Run, observer: Observer, source, indices: Sequence[int]) -> dict[str, dict]:
  """Measures the change under a shift: {unit: {pooling: {"mean", "standard_error"}}} over the images."""
  sensitivity = ShiftSensitivity(run.experiment, observer.units)
  changes = [sensitivity(run.variables, source[i]["image"]) for i in track(indices, "shifting", "images")]
  results = {unit: {} for unit in observer.units}
  for unit, pooling in itertools.product(observer.units, POOLINGS):
    values = [image[pooling][unit] for image in changes]
    finite = [value for value in values if math.isfinite(value)]  # an all-zero output has a NaN change
    results[unit][pooling] = mean_and_error(finite)
  return results


def _spaced_indices(length: int, count: int) -> list[int]:
  """At most `count` evenly spaced indices below `length`."""
  return np.linspace(0, length - 1, min(count, length)).round().astype(int).tolist()

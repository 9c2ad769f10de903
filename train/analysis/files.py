"""Writes an analysis: JSON with all numbers, CSV with a row per unit and channel, and figures."""

from __future__ import annotations

import math
import pathlib
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from train.analysis import figures
from train.analysis.alpha_maps import draw_figure6
from train.analysis.collect import Analysis
from train.analysis.shifts import POOLINGS
from train.utils.csv_files import write_csv
from train.utils.json_files import write_json
from train.visualization.colorize import write_figure


def write_analysis(analysis: Analysis, out: pathlib.Path) -> None:
  """Writes analysis.json, analysis.csv and the figures; they replace those of an earlier analysis."""
  write_json(out / "analysis.json", to_json({**analysis.about, "units": analysis.results}))
  _write_channels(analysis, out / "analysis.csv")
  statistics, results = analysis.statistics, to_json(analysis.results)
  drawings = {
    "histograms": figures.draw_histograms(statistics),
    "sparsity": figures.draw_sparsity(statistics, results),
    "shift": figures.draw_shifts(results),
    "figure6": draw_figure6(analysis.picture),
  }
  for old in out.glob("boundary.*"):  # a split without labels has no boundary figure
    old.unlink()
  if analysis.about["labeled_images"]:
    drawings["boundary"] = figures.draw_boundary(results, statistics, analysis.about["boundary_pixels"])
  for name, figure in drawings.items():
    write_figure(figure, out / name)


def to_json(value) -> Any:
  """Converts arrays to lists, and NaN and infinity, which JSON does not have, to None."""
  if isinstance(value, dict):
    return {key: to_json(item) for key, item in value.items()}
  if isinstance(value, np.ndarray | np.generic):
    return to_json(value.tolist())
  if isinstance(value, list | tuple):
    return [to_json(item) for item in value]
  return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_channels(analysis: Analysis, path: pathlib.Path) -> None:
  channels = {unit: to_json(result["channels"]) for unit, result in analysis.results.items()}
  rows = [
    [unit, channel, *values]
    for unit, columns in channels.items()
    for channel, values in enumerate(zip(*columns.values(), strict=True))
  ]
  write_csv(path, ["unit", "channel", *next(iter(channels.values()))], rows)


def print_units(analysis: Analysis) -> None:
  """Prints a table with a row for each unit."""
  header = ["alpha of", "initial", "mean", "std", "at the\nends %", "boundary", "inside", "r with\nsparsity"]
  table = Table(*header, *(f"shift\n{pooling}" for pooling in POOLINGS), box=box.SIMPLE_HEAD, padding=0)
  for name, unit in to_json(analysis.results).items():
    ends = 100 * (unit["at_low"] + unit["at_high"])
    values = [unit["initial"], unit["mean"], unit["std"], ends, unit["boundary"]["mean"],
              unit["inside"]["mean"], unit["deviation_against_sparsity"]["pearson"]]  # fmt: skip
    shifts = [unit["shift"][pooling]["mean"] for pooling in POOLINGS]
    table.add_row(name, *("-" if value is None else f"{value:.3g}" for value in (*values, *shifts)))
  Console().print(table)

"""Draws the figures of an analysis: histograms, label boundaries, sparsity and shifts."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from train.analysis.scale import make_scale
from train.analysis.shifts import POOLINGS
from train.analysis.statistics import UnitStatistics

_COLORS = {"avg": "#9fc3e6", "max": "#0b559f", "ppool": "#e08214"}
_NAMES = {"avg": "average pooling", "max": "max pooling", "ppool": "P-pooling, as trained"}
_INITIAL_COLOR = "#c23b22"
_TEXT = 7  # points
_COLUMNS = 4


def draw_histograms(statistics: dict[str, UnitStatistics]) -> Figure:
  """Draws a histogram of alpha for each unit on a common axis; a dashed line marks the initial value."""
  figure, axes = _make_panels(len(statistics))
  scale = _shared_scale(statistics)
  for axis, (name, unit) in zip(axes, statistics.items(), strict=True):
    axis.stairs(unit.counts / unit.counts.sum(), unit.edges, fill=True, color=_COLORS["max"])
    axis.axvline(unit.initial.mean(), color=_INITIAL_COLOR, linewidth=0.9, linestyle="--", label="initial")
    axis.set_title(name, fontsize=_TEXT, pad=2)
    scale.set_axis(axis, "x")
  axes[0].legend(fontsize=_TEXT - 1, frameon=False)
  figure.supxlabel(scale.label, fontsize=_TEXT)
  figure.supylabel("share of windows and channels", fontsize=_TEXT)
  return figure


def draw_boundary(results: dict[str, dict], statistics: dict[str, UnitStatistics], distance: int) -> Figure:
  """Draws mean alpha of the windows at label edges and of all other windows."""
  figure = Figure(figsize=(max(3.4, 0.7 * len(results) + 1.6), 2.8), layout="constrained")
  axis, positions = figure.subplots(), np.arange(len(results))
  for side, name, color in ((-0.2, "boundary", _COLORS["ppool"]), (0.2, "inside", _COLORS["avg"])):
    means = [np.nan if unit[name]["mean"] is None else unit[name]["mean"] for unit in results.values()]
    title = f"within {distance} pixels of a label's edge" if name == "boundary" else "inside of a label"
    axis.bar(positions + side, means, 0.38, color=color, label=title)
  initial = [unit["initial"] for unit in results.values()]
  axis.plot(positions, initial, "_", color=_INITIAL_COLOR, markersize=18, label="initial")
  axis.set_xticks(positions, results, fontsize=_TEXT, rotation=90 if len(results) > 6 else 0)
  scale = _shared_scale(statistics)
  scale.set_axis(axis)
  axis.set_ylim(bottom=0)
  axis.set_ylabel(f"mean {scale.label}".replace(" (", "\n("), fontsize=_TEXT)
  _style_axis(figure, axis, 2)
  return figure


def draw_sparsity(statistics: dict[str, UnitStatistics], results: dict[str, dict]) -> Figure:
  """Draws the deviation of alpha from its initial value by sparsity of the input, a point per channel."""
  figure, axes = _make_panels(len(statistics))
  for axis, (name, unit) in zip(axes, statistics.items(), strict=True):
    channels = unit.per_channel()
    axis.plot(channels["sparsity"], channels["deviation"], ".", markersize=3, color=_COLORS["max"])
    correlations = results[name]["deviation_against_sparsity"]
    numbers = ", ".join(f"{key} {value:+.2f}" for key, value in correlations.items() if value is not None)
    axis.set_title(f"{name}: {numbers or 'no correlation: one of them is constant'}", fontsize=_TEXT, pad=2)
    axis.set_xlim(-0.03, 1.03)
    axis.set_ylim(bottom=min(0, *axis.get_ylim()))
  figure.supxlabel("sparsity of the unit's input (share of zeros)", fontsize=_TEXT)
  figure.supylabel("mean |alpha - initial|", fontsize=_TEXT)
  return figure


def draw_shifts(results: dict[str, dict]) -> Figure:
  """Draws the change of every unit's output with each pooling when the image moves by one pixel."""
  figure = Figure(figsize=(max(3.4, 0.8 * len(results) + 1.6), 2.8), layout="constrained")
  axis, positions = figure.subplots(), np.arange(len(results))
  for i, pooling in enumerate(POOLINGS):
    changes = [unit["shift"][pooling] for unit in results.values()]
    heights, errors = (
      [np.nan if change[key] is None else change[key] for change in changes]
      for key in ("mean", "standard_error")
    )
    axis.bar(
      positions + 0.27 * (i - 1), heights, 0.25, yerr=errors, color=_COLORS[pooling], label=_NAMES[pooling],
      error_kw={"linewidth": 0.7},
    )  # fmt: skip
  axis.set_xticks(positions, results, fontsize=_TEXT, rotation=90 if len(results) > 6 else 0)
  axis.set_ylabel("relative change at a shift of one pixel", fontsize=_TEXT)
  _style_axis(figure, axis, 1)
  return figure


def _shared_scale(statistics: dict[str, UnitStatistics]):
  largest = max(max(unit.largest, unit.initial.max()) for unit in statistics.values())
  return make_scale([unit.unit for unit in statistics.values()], largest)


def _make_panels(count: int) -> tuple[Figure, np.ndarray]:
  columns = min(count, _COLUMNS)
  rows = math.ceil(count / columns)
  figure = Figure(figsize=(2.4 * columns + 0.6, 1.9 * rows + 0.5), layout="constrained")
  axes = figure.subplots(rows, columns, squeeze=False).ravel()
  for axis in axes[count:]:
    axis.set_axis_off()
  for axis in axes[:count]:
    axis.tick_params(labelsize=_TEXT - 1, length=2)
  return figure, axes[:count]


def _style_axis(figure: Figure, axis, columns: int) -> None:
  axis.tick_params(axis="y", labelsize=_TEXT - 1, length=2)
  axis.tick_params(axis="x", length=0)
  axis.spines[["top", "right"]].set_visible(False)
  figure.legend(fontsize=_TEXT - 1, frameon=False, loc="outside upper center", ncols=columns)

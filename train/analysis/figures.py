"""The figures of an analysis: histograms, label boundaries, sparsity, shifts. A panel or a group a unit."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from train.analysis.scale import make_scale
from train.analysis.shifts import POOLINGS
from train.analysis.statistics import UnitStatistics

_COLORS = {"avg": "#9fc3e6", "max": "#0b559f", "ppool": "#e08214"}
_NAMES = {"avg": "average pooling", "max": "max pooling", "ppool": "P-pooling, as trained"}
_RED = "#c23b22"
_TEXT = 7  # points
_COLUMNS = 4


def draw_histograms(statistics: dict[str, UnitStatistics]) -> Figure:
  """The share of alphas in each bin, all units on one axis; the initial value is a dashed line."""
  figure, axes = _panels(len(statistics))
  scale = _scale(statistics)
  for axis, (name, unit) in zip(axes, statistics.items(), strict=True):
    axis.stairs(unit.counts / unit.counts.sum(), unit.edges, fill=True, color=_COLORS["max"])
    axis.axvline(unit.initial.mean(), color=_RED, linewidth=0.9, linestyle="--", label="initial")
    axis.set_title(name, fontsize=_TEXT, pad=2)
    scale.set_axis(axis, "x")
  axes[0].legend(fontsize=_TEXT - 1, frameon=False)
  figure.supxlabel(scale.label, fontsize=_TEXT)
  figure.supylabel("share of windows and channels", fontsize=_TEXT)
  return figure


def draw_boundary(results: dict[str, dict], statistics: dict[str, UnitStatistics], distance: int) -> Figure:
  """Mean alpha of windows at the edges of labels and of all others."""
  figure = Figure(figsize=(max(3.4, 0.7 * len(results) + 1.6), 2.8), layout="constrained")
  axis, places = figure.subplots(), np.arange(len(results))
  for side, name, color in ((-0.2, "boundary", _COLORS["ppool"]), (0.2, "inside", _COLORS["avg"])):
    means = [np.nan if unit[name]["mean"] is None else unit[name]["mean"] for unit in results.values()]
    title = f"within {distance} pixels of a label's edge" if name == "boundary" else "inside of a label"
    axis.bar(places + side, means, 0.38, color=color, label=title)
  initial = [unit["initial"] for unit in results.values()]
  axis.plot(places, initial, "_", color=_RED, markersize=18, label="initial")
  axis.set_xticks(places, results, fontsize=_TEXT, rotation=90 if len(results) > 6 else 0)
  scale = _scale(statistics)
  scale.set_axis(axis)
  axis.set_ylim(bottom=0)
  axis.set_ylabel(f"mean {scale.label}".replace(" (", "\n("), fontsize=_TEXT)
  _finish(figure, axis, 2)
  return figure


def draw_sparsity(statistics: dict[str, UnitStatistics], results: dict[str, dict]) -> Figure:
  """How far alpha has moved from its initial value against the sparsity of the input, a point a channel."""
  figure, axes = _panels(len(statistics))
  for axis, (name, unit) in zip(axes, statistics.items(), strict=True):
    channels = unit.per_channel()
    axis.plot(channels["sparsity"], channels["deviation"], ".", markersize=3, color=_COLORS["max"])
    found = results[name]["deviation_against_sparsity"]
    numbers = ", ".join(f"{key} {value:+.2f}" for key, value in found.items() if value is not None)
    axis.set_title(f"{name}: {numbers or 'no correlation: one of them is constant'}", fontsize=_TEXT, pad=2)
    axis.set_xlim(-0.03, 1.03)
    axis.set_ylim(bottom=min(0, *axis.get_ylim()))
  figure.supxlabel("sparsity of the unit's input (share of zeros)", fontsize=_TEXT)
  figure.supylabel("mean |alpha - initial|", fontsize=_TEXT)
  return figure


def draw_shifts(results: dict[str, dict]) -> Figure:
  """The change of every unit's output when the image moves by one pixel, with each pooling."""
  figure = Figure(figsize=(max(3.4, 0.8 * len(results) + 1.6), 2.8), layout="constrained")
  axis, places = figure.subplots(), np.arange(len(results))
  for i, pooling in enumerate(POOLINGS):
    found = [unit["shift"][pooling] for unit in results.values()]
    heights, errors = (
      [np.nan if one[key] is None else one[key] for one in found] for key in ("mean", "standard_error")
    )
    axis.bar(
      places + 0.27 * (i - 1), heights, 0.25, yerr=errors, color=_COLORS[pooling], label=_NAMES[pooling],
      error_kw={"linewidth": 0.7},
    )  # fmt: skip
  axis.set_xticks(places, results, fontsize=_TEXT, rotation=90 if len(results) > 6 else 0)
  axis.set_ylabel("relative change at a shift of one pixel", fontsize=_TEXT)
  _finish(figure, axis, 1)
  return figure


def _scale(statistics: dict[str, UnitStatistics]):
  largest = max(max(unit.largest, unit.initial.max()) for unit in statistics.values())
  return make_scale([unit.unit for unit in statistics.values()], largest)


def _panels(count: int) -> tuple[Figure, np.ndarray]:
  columns = min(count, _COLUMNS)
  rows = math.ceil(count / columns)
  figure = Figure(figsize=(2.4 * columns + 0.6, 1.9 * rows + 0.5), layout="constrained")
  axes = figure.subplots(rows, columns, squeeze=False).ravel()
  for axis in axes[count:]:
    axis.set_axis_off()
  for axis in axes[:count]:
    axis.tick_params(labelsize=_TEXT - 1, length=2)
  return figure, axes[:count]


def _finish(figure: Figure, axis, columns: int) -> None:
  axis.tick_params(axis="y", labelsize=_TEXT - 1, length=2)
  axis.tick_params(axis="x", length=0)
  axis.spines[["top", "right"]].set_visible(False)
  figure.legend(fontsize=_TEXT - 1, frameon=False, loc="outside upper center", ncols=columns)

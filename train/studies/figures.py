"""Draws the figures of a study: all seeds of all variants, and the gain of each class."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from train.comparison import figure5
from train.comparison.gains import ClassGain
from train.studies.estimates import Estimate
from train.studies.result import Result, VariantInfo
from train.studies.summary_rows import Row, to_percentages
from train.studies.tables import metric_title

_PANELS = ("miou", "thin_iou", "boundary_iou")
# Inches.
_LABEL_WIDTH, _PANEL_WIDTH, _ROW_HEIGHT, _MARGIN = 1.3, 2.2, 0.42, 1.05
_TEXT, _SMALL = 7, 6  # points
# Offsets from the middle of a row of height 1; positive is down.
_BASELINE, _SEEDS, _MEAN = -0.25, 0.02, 0.26

_DOT, _BEFORE, _LINE = "#3e83c4", "0.62", "0.78"


def draw_seeds(
  title: str, variants: Sequence[VariantInfo], results: Sequence[Result], rows: Sequence[Row]
) -> Figure:
  """Draws a panel for each of mIoU, thin-class IoU and Boundary IoU, with a row for each variant.

  A row shows a dot for each seed, a line from each dot to the baseline's dot of the same seed, and the mean
  with its confidence interval.
  """
  measured = {row.metric for row in rows if row.estimate.count}
  metrics = [metric for metric in _PANELS if metric in measured] or ["miou"]
  size = (_LABEL_WIDTH + _PANEL_WIDTH * len(metrics), _ROW_HEIGHT * len(variants) + _MARGIN)
  figure = Figure(figsize=size, layout="constrained")
  panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
  for axes, metric in zip(panels, metrics, strict=True):
    _draw_panel(axes, metric, variants, results, rows)
  panels[0].set_yticks(range(len(variants)), [_row_label(variant.name, results) for variant in variants])
  panels[0].set_ylim(len(variants) - 0.5, -0.5)
  figure.suptitle(title, fontsize=_TEXT + 1, wrap=True)
  figure.legend(
    handles=_legend_handles(variants), fontsize=_SMALL, frameon=False, loc="outside lower center", ncols=3
  )
  return figure


def draw_gains(
  variant: VariantInfo,
  variants: Sequence[VariantInfo],
  results: Sequence[Result],
  rows: Sequence[Row],
  thin: frozenset[str],
) -> Figure | None:
  """Draws the paper's Figure 5 with means over seeds and confidence intervals; None without a common seed."""
  ious = [row for row in rows if (row.variant, row.metric) == (variant.name, "per_class_iou")]
  run = next((r for r in results if r.variant == variant.name and r.finished), None)
  pixels = run.scores.get("per_class_pixels", {}) if run else {}
  present = [
    _make_gain(row, train_id, row.label in thin, pixels.get(row.label, 0))
    for train_id, row in enumerate(ious)
    if row.difference and row.difference.estimate.count and pixels.get(row.label, 1)
  ]
  if not present:
    return None
  present.sort(key=lambda row: (-row.gain, row.train_id))
  by_name = {row.name: row for row in present}
  seeds = max(row.compared.estimate.count for row in ious if row.label in by_name)
  remark = f"mean of {seeds} seeds, 95 % confidence interval" if seeds > 1 else "one seed"
  split = run.config.get("data", {}).get("eval_split", "the images") if run else "the images"
  absent = [row.label for row in ious if row.label not in by_name]
  titles = {info.name: info.title for info in variants}
  return figure5.draw(present, absent, (titles[variant.baseline or ""], variant.title), split, remark)


def _make_gain(row: Row, train_id: int, thin: bool, pixels: int) -> ClassGain:
  before, gain = row.compared.baseline or 0.0, row.compared.estimate
  interval = None if gain.low is None or gain.high is None else (gain.low, gain.high)
  return ClassGain(train_id, row.label, thin, pixels, before, before + row.compared.gain, interval)


def _draw_panel(axes: Axes, metric: str, variants, results: Sequence[Result], rows: Sequence[Row]) -> None:
  seeds = {variant.name: {} for variant in variants}
  for result in results:
    value = to_percentages(result.scores).get((metric, "")) if result.finished else None
    if value is not None:
      seeds[result.variant][result.seed] = value
  estimates = {row.variant: row.estimate for row in rows if row.metric == metric}
  for row, variant in enumerate(variants):
    own, before = seeds[variant.name], seeds.get(variant.baseline, {})
    pairs = [(before[seed], own[seed]) for seed in own if seed in before]
    if pairs:
      heights = (row + _BASELINE, row + _SEEDS)
      axes.plot(list(zip(*pairs, strict=True)), heights, color=_LINE, linewidth=0.6)
      axes.plot([p[0] for p in pairs], heights[:1] * len(pairs), ".", color=_BEFORE, markersize=3)
    axes.plot(list(own.values()), [row + _SEEDS] * len(own), ".", color=_DOT, markersize=5, alpha=0.8)
    if own:
      _draw_mean(axes, row + _MEAN, estimates[variant.name])
  for border in range(len(variants) - 1):
    axes.axhline(border + 0.5, color="0.9", linewidth=0.5)
  axes.xaxis.set_major_locator(MaxNLocator(4))
  axes.set_xlabel(f"{metric_title(metric)}, per cent", fontsize=_TEXT)
  axes.tick_params(axis="y", length=0, labelsize=_TEXT)
  axes.tick_params(axis="x", labelsize=_SMALL, length=2)
  axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_mean(axes: Axes, height: float, estimate: Estimate) -> None:
  spread, mean = None, estimate.mean or 0.0
  if estimate.low is not None and estimate.high is not None:
    spread = [[mean - estimate.low], [estimate.high - mean]]
  style = {"color": "black", "markersize": 4, "elinewidth": 1, "capsize": 2}
  axes.errorbar([mean], [height], xerr=spread, fmt="d", **style)


def _row_label(name: str, results: Sequence[Result]) -> str:
  """The row's label: the variant and the number of its diverged runs."""
  own = [result for result in results if result.variant == name]
  diverged = sum(not result.finished for result in own)
  return f"{name}\n{diverged} of {len(own)} diverged" if diverged else name


def _legend_handles(variants: Sequence[VariantInfo]) -> list[Line2D]:
  seed = Line2D([], [], color=_DOT, marker=".", linestyle="", label="one seed")
  before = Line2D([], [], color=_LINE, marker=".", markerfacecolor=_BEFORE, label="same seed of the baseline")
  mean = Line2D([], [], color="black", marker="d", markersize=4, label="mean, 95 % confidence interval")
  return [seed, before, mean] if any(variant.baseline for variant in variants) else [seed, mean]

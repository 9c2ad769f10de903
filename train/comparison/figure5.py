"""Figure 5 of the paper: a bar chart of the gain of each class."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from train.comparison.gains import ClassGain, mean_gain
from train.visualization.text import short_class_name

_WIDTH = 3.4  # inches: a column
_BAR = 0.155
_TEXT, _SMALL = 7, 6  # points
_LINE_LETTERS = 62  # of small text

_MAX_CLASSES = 40
_FIRST, _LAST = 25, 10  # shown of more classes than these
_MAX_ABSENT = 8  # absent classes that are named

_THIN, _OTHERS = "#0b559f", "#9fc3e6"


def draw(
  present: Sequence[ClassGain], absent: Sequence[str], titles: Sequence[str], split: str, remark: str = ""
) -> Figure:
  """Draws a bar per class, the largest gain at the top, and a line at their mean.

  A confidence interval is drawn as an error bar. Of more than 40 classes the first 25 and the last 10 are
  shown.

  Args:
    present, absent: of `class_gains`.
    titles: of the baseline and of the other run.
    split: its name.
    remark: a line of text below, such as what the intervals are.
  """
  omitted = len(present) - _FIRST - _LAST if len(present) > _MAX_CLASSES else 0
  rows = [*present[:_FIRST], None, *present[-_LAST:]] if omitted else list(present)
  caption = _caption(absent, titles, split, remark)
  figure = Figure(figsize=(_WIDTH, _BAR * len(rows) + 0.8 + 0.1 * caption.count("\n")), layout="constrained")
  axes = figure.subplots()
  _draw_bars(axes, rows)
  axes.set_yticks(
    range(len(rows)), [short_class_name(row.name) if row else f"({omitted} more)" for row in rows]
  )
  axes.set_ylim(len(rows) - 0.4, -0.6)
  axes.margins(x=0.14)
  axes.tick_params(axis="y", length=0, labelsize=_TEXT)
  axes.tick_params(axis="x", labelsize=_SMALL, length=2)
  axes.spines[["top", "right", "left"]].set_visible(False)
  axes.axvline(0, color="0.2", linewidth=0.6)
  mean = mean_gain(present)
  label = f"mean {_format_signed(mean)}"
  line = axes.axvline(mean, color="#c23b22", linewidth=0.9, linestyle="--", label=label)
  figure.supxlabel(caption, fontsize=_SMALL)
  # The legend is outside because bars reach every corner of the axes.
  handles = [*_thin_legend(present), line]
  figure.legend(
    handles=handles, fontsize=_SMALL, frameon=False, loc="outside upper center", ncols=len(handles)
  )
  return figure


def _draw_bars(axes: Axes, rows: Sequence[ClassGain | None]) -> None:
  """Draws bars, error bars and numbers; None leaves an empty row."""
  bars = [(position, row) for position, row in enumerate(rows) if row]
  drawn = axes.barh(
    [position for position, _ in bars],
    [row.gain for _, row in bars],
    height=0.72,
    color=[_THIN if row.thin else _OTHERS for _, row in bars],
    xerr=_error_bars([row for _, row in bars]),
    error_kw={"elinewidth": 0.6, "capsize": 1.5, "capthick": 0.6, "ecolor": "0.15"},
  )
  white = [patheffects.withStroke(linewidth=2, foreground="white")]  # where the mean's line crosses
  axes.bar_label(drawn, fmt=_format_signed, fontsize=_SMALL, padding=2, path_effects=white, zorder=3)


def _thin_legend(present: Sequence[ClassGain]) -> list[Patch]:
  """Legend entries of the thin and the other classes; none if there is only one kind."""
  if len({row.thin for row in present}) < 2:
    return []
  return [Patch(color=_THIN, label="thin classes"), Patch(color=_OTHERS, label="others")]


def _error_bars(rows: Sequence[ClassGain]) -> list[list[float]] | None:
  """The lengths of the intervals below and above the gains; None if no class has an interval."""
  if not any(row.interval for row in rows):
    return None
  ends = [row.interval or (row.gain, row.gain) for row in rows]
  below = [row.gain - low for row, (low, _) in zip(rows, ends, strict=True)]
  return [below, [high - row.gain for row, (_, high) in zip(rows, ends, strict=True)]]


def _format_signed(points: float) -> str:
  return f"{points:+.2f}".replace("-", "\N{MINUS SIGN}")


def _caption(absent: Sequence[str], titles: Sequence[str], split: str, remark: str) -> str:
  lines = ["gain in IoU, points", f"{titles[1]} against {titles[0]}", *([remark] if remark else [])]
  if absent:
    names = ", ".join(short_class_name(name) for name in absent[:_MAX_ABSENT])
    more = f" and {len(absent) - _MAX_ABSENT} more" if len(absent) > _MAX_ABSENT else ""
    lines.append(f"not in {split}: {names}{more}")
  return "\n".join(part for line in lines for part in textwrap.wrap(line, _LINE_LETTERS))

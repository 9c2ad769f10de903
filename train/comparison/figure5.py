"""Figure 5 of the paper: what the classes gain."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib import patheffects
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from train.comparison.gains import Gain, mean_gain
from train.visualization.text import short_class_name

_WIDTH = 3.4  # inches: a column's
_BAR = 0.155
_TEXT, _SMALL = 7, 6  # points
_LETTERS = 62  # of a line of small text

_MOST = 40  # classes that have room
_FIRST, _LAST = 25, 10  # of more than these
_NAMED = 8  # of the absent classes

_THIN, _OTHERS = "#0b559f", "#9fc3e6"


def draw(
  present: Sequence[Gain], absent: Sequence[str], titles: Sequence[str], split: str, remark: str = ""
) -> Figure:
  """A bar a class, largest gain at the top, and a line at their mean.

  Classes with an interval have it as an error bar. Of more than 40 classes the 25 first and the 10 last.

  Args:
    present, absent: of `gains`.
    titles: of the baseline and of the other.
    split: its name.
    remark: a line of text below, such as what the intervals are.
  """
  left_out = len(present) - _FIRST - _LAST if len(present) > _MOST else 0
  bars = [*present[:_FIRST], None, *present[-_LAST:]] if left_out else list(present)
  note = _note(absent, titles, split, remark)
  figure = Figure(figsize=(_WIDTH, _BAR * len(bars) + 0.8 + 0.1 * note.count("\n")), layout="constrained")
  axes = figure.subplots()
  shown = [(place, row) for place, row in enumerate(bars) if row]
  colors = [_THIN if row.thin else _OTHERS for _, row in shown]
  drawn = axes.barh(
    [place for place, _ in shown],
    [row.gain for _, row in shown],
    height=0.72,
    color=colors,
    xerr=_errors([row for _, row in shown]),
    error_kw={"elinewidth": 0.6, "capsize": 1.5, "capthick": 0.6, "ecolor": "0.15"},
  )
  white = [patheffects.withStroke(linewidth=2, foreground="white")]  # where the mean's line crosses
  axes.bar_label(drawn, fmt=_signed, fontsize=_SMALL, padding=2, path_effects=white, zorder=3)
  axes.set_yticks(
    range(len(bars)), [short_class_name(row.name) if row else f"({left_out} more)" for row in bars]
  )
  axes.set_ylim(len(bars) - 0.4, -0.6)
  axes.margins(x=0.14)
  axes.tick_params(axis="y", length=0, labelsize=_TEXT)
  axes.tick_params(axis="x", labelsize=_SMALL, length=2)
  axes.spines[["top", "right", "left"]].set_visible(False)
  axes.axvline(0, color="0.2", linewidth=0.6)
  mean = mean_gain(present)
  line = axes.axvline(mean, color="#c23b22", linewidth=0.9, linestyle="--", label=f"mean {_signed(mean)}")
  figure.supxlabel(note, fontsize=_SMALL)
  # Inside there is no corner that bars never reach.
  handles = [*_kinds(present), line]
  figure.legend(
    handles=handles, fontsize=_SMALL, frameon=False, loc="outside upper center", ncols=len(handles)
  )
  return figure


def _kinds(present: Sequence[Gain]) -> list[Patch]:
  """Which color is of the thin classes, where there are both kinds."""
  if len({row.thin for row in present}) < 2:
    return []
  return [Patch(color=_THIN, label="thin classes"), Patch(color=_OTHERS, label="others")]


def _errors(rows: Sequence[Gain]) -> list[list[float]] | None:
  """How far the intervals reach below and above the gains; None if no class has one."""
  if not any(row.interval for row in rows):
    return None
  ends = [row.interval or (row.gain, row.gain) for row in rows]
  below = [row.gain - low for row, (low, _) in zip(rows, ends, strict=True)]
  return [below, [high - row.gain for row, (_, high) in zip(rows, ends, strict=True)]]


def _signed(points: float) -> str:
  return f"{points:+.2f}".replace("-", "\N{MINUS SIGN}")


def _note(absent: Sequence[str], titles: Sequence[str], split: str, remark: str) -> str:
  lines = ["gain in IoU, points", f"{titles[1]} against {titles[0]}", *([remark] if remark else [])]
  if absent:
    names = ", ".join(short_class_name(name) for name in absent[:_NAMED])
    more = f" and {len(absent) - _NAMED} more" if len(absent) > _NAMED else ""
    lines.append(f"not in {split}: {names}{more}")
  return "\n".join(part for line in lines for part in textwrap.wrap(line, _LETTERS))

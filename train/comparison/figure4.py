"""Figure 4 of the paper: image, ground truth and the predictions of two runs, side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from train.comparison.examples import Box, Example
from train.data.classes import IGNORE, ClassTable
from train.visualization.colorize import colorize
from train.visualization.text import short_class_name

# Inches.
_WIDTH = 6.9  # of the text of a two-column page
_GAP = 0.04
_DETAIL_GAP = 0.08  # below an example with its enlarged box
_LINE = 0.14
_LETTER = 0.062
_PATCH = 0.34

_SIDE = (_WIDTH - 3 * _GAP) / 4
_MAX_HEIGHT = 1.25 * _SIDE
_HEADING_LETTERS = 28  # per line of a heading
_TEXT, _SMALL = 8, 7  # points
_LEGEND = {
  "loc": "lower center",
  "fontsize": _SMALL,
  "frameon": False,
  "handlelength": 1.2,
  "handleheight": 1,
  "columnspacing": 1.2,
  "borderpad": 0.2,
}


class _Row(NamedTuple):
  """Four panels, RGB uint8 `[H, W, 3]`, the box drawn on them, and the space below in inches."""

  panels: list[np.ndarray]
  box: Box | None
  gap: float

  @property
  def height(self) -> float:
    """In inches; tall panels are narrower than the column."""
    height, width = self.panels[0].shape[:2]
    return min(_SIDE * height / width, _MAX_HEIGHT)


def draw(examples: Sequence[Example], titles: Sequence[str], table: ClassTable, zoom: bool = False) -> Figure:
  """Draws a row per example, a heading per column, and a legend of the classes that occur.

  The box on each row is `Example.difference_box`.

  Args:
    titles: of the baseline and of the other run.
    zoom: whether a second row shows the box alone, four times as large.
  """
  headings = ["\n".join(textwrap.wrap(text, _HEADING_LETTERS)) for text in ("image", "ground truth", *titles)]
  head = _LINE * (1 + max(heading.count("\n") for heading in headings)) + _GAP
  entries = _legend_entries(examples, table)
  longest = max(len(str(entry.get_label())) for entry in entries)
  lines = -(-len(entries) // max(1, int(_WIDTH / (_PATCH + _LETTER * longest))))
  rows = [row for example in examples for row in _example_rows(example, table, zoom)]
  height = head + sum(row.height + row.gap for row in rows) + _LINE * (lines + 1)
  figure = Figure(figsize=(_WIDTH, height))
  for i, heading in enumerate(headings):
    x, y = _figure_coordinates(height, _column_left(i) + _SIDE / 2, head - _GAP)
    figure.text(x, y, heading, fontsize=_TEXT, ha="center", va="bottom")
  top = head
  for row in rows:
    _draw_row(figure, height, top, row)
    top += row.height + row.gap
  figure.legend(handles=entries, ncols=-(-len(entries) // lines), bbox_to_anchor=(0.5, 0), **_LEGEND)
  return figure


def _example_rows(example: Example, table: ClassTable, zoom: bool) -> list[_Row]:
  """The example's row, and with `zoom` the row of its enlarged box."""
  maps = (colorize(labels, table) for labels in (example.label, *example.predictions))
  panels, box = [example.image, *maps], example.difference_box()
  if not zoom or box is None:
    return [_Row(panels, box, _DETAIL_GAP if zoom else _GAP)]
  return [_Row(panels, box, _GAP), _Row([box.crop(panel) for panel in panels], None, _DETAIL_GAP)]


def _legend_entries(examples: Sequence[Example], table: ClassTable) -> list[Patch]:
  """A patch per class in the labels and predictions, in the table's order, and for ignored pixels."""
  maps = [labels for example in examples for labels in (example.label, *example.predictions)]
  train_ids = sorted(set().union(*(np.unique(labels).tolist() for labels in maps)))
  names = ["ignored" if k == IGNORE else short_class_name(table.names[k]) for k in train_ids]
  colors = table.palette()[train_ids] / 255
  edge = {"edgecolor": "0.4", "linewidth": 0.4}
  return [Patch(facecolor=rgb, label=name, **edge) for rgb, name in zip(colors, names, strict=True)]


def _draw_row(figure: Figure, height: float, top: float, row: _Row) -> None:
  width = row.height * row.panels[0].shape[1] / row.panels[0].shape[0]
  for i, panel in enumerate(row.panels):
    x, y = _figure_coordinates(height, _column_left(i) + (_SIDE - width) / 2, top + row.height)
    axes = figure.add_axes((x, y, width / _WIDTH, row.height / height))
    axes.imshow(panel, aspect="auto")
    axes.set_axis_off()
    if row.box:
      _draw_box(axes, row.box)


def _draw_box(axes: Axes, box: Box) -> None:
  """Draws the box in white with a black edge, which is visible on every class."""
  corner = (box.left - 0.5, box.top - 0.5)
  edge = [patheffects.Stroke(linewidth=2, foreground="black"), patheffects.Normal()]
  style = {"fill": False, "edgecolor": "white", "linewidth": 1, "path_effects": edge, "clip_on": False}
  axes.add_patch(Rectangle(corner, box.width, box.height, **style))


def _column_left(column: int) -> float:
  return column * (_SIDE + _GAP)


def _figure_coordinates(height: float, left: float, top: float) -> tuple[float, float]:
  """Converts inches from the upper left corner to coordinates of a figure of that height."""
  return left / _WIDTH, 1 - top / height

"""Figure 4 of the paper: image, ground truth, baseline and P-pooling side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

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
_WIDTH = 6.9  # of a page's text in two columns
_GAP = 0.04
_BETWEEN = 0.08  # examples that are shown with their details
_LINE = 0.14
_LETTER = 0.062
_PATCH = 0.34

_SIDE = (_WIDTH - 3 * _GAP) / 4
_TALLEST = 1.25 * _SIDE
_COLUMN = 28  # letters of a heading that fit over a panel
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


def draw(examples: Sequence[Example], titles: Sequence[str], table: ClassTable, zoom: bool = False) -> Figure:
  """A row an example, a heading a column, and below the classes that are to be seen.

  The box on each row is `Example.box`.

  Args:
    titles: of the baseline and of the other.
    zoom: whether a second row shows the box alone, four times as large.
  """
  headings = ["\n".join(textwrap.wrap(text, _COLUMN)) for text in ("image", "ground truth", *titles)]
  head = _LINE * (1 + max(heading.count("\n") for heading in headings)) + _GAP
  entries = _legend(examples, table)
  room = max(1, int(_WIDTH / (_PATCH + _LETTER * max(len(entry.get_label()) for entry in entries))))
  lines = -(-len(entries) // room)
  columns = -(-len(entries) // lines)
  foot = _LINE * (lines + 1)
  rows = [row for example in examples for row in _rows(example, table, zoom)]
  height = head + sum(_height(panels) + below for panels, _, below in rows) + foot
  figure = Figure(figsize=(_WIDTH, height))
  for i, heading in enumerate(headings):
    figure.text(
      *_place(height, _left(i) + _SIDE / 2, head - _GAP), heading, fontsize=_TEXT, ha="center", va="bottom"
    )
  top = head
  for panels, box, below in rows:
    _draw_row(figure, height, top, panels, box)
    top += _height(panels) + below
  figure.legend(handles=entries, ncols=columns, bbox_to_anchor=(0.5, 0), **_LEGEND)
  return figure


def _rows(
  example: Example, table: ClassTable, zoom: bool
) -> list[tuple[list[np.ndarray], Box | None, float]]:
  """(panels, box on them, space below) of the example, and of its detail where that is asked for."""
  maps = (colorize(labels, table) for labels in (example.label, *example.predictions))
  panels, box = [example.image, *maps], example.box()
  if not zoom or box is None:
    return [(panels, box, _BETWEEN if zoom else _GAP)]
  return [(panels, box, _GAP), ([box.of(panel) for panel in panels], None, _BETWEEN)]


def _legend(examples: Sequence[Example], table: ClassTable) -> list[Patch]:
  """A patch for each class in the truths and predictions, in the table's order, and for ignored pixels."""
  maps = [labels for example in examples for labels in (example.label, *example.predictions)]
  shown = sorted(set().union(*(np.unique(labels).tolist() for labels in maps)))
  names = ["ignored" if train_id == IGNORE else short_class_name(table.names[train_id]) for train_id in shown]
  colors = table.palette()[shown] / 255
  edge = {"edgecolor": "0.4", "linewidth": 0.4}
  return [Patch(facecolor=rgb, label=name, **edge) for rgb, name in zip(colors, names, strict=True)]


def _draw_row(figure: Figure, height: float, top: float, panels: list[np.ndarray], box: Box | None) -> None:
  tall = _height(panels)
  wide = tall * panels[0].shape[1] / panels[0].shape[0]
  for i, panel in enumerate(panels):
    x, y = _place(height, _left(i) + (_SIDE - wide) / 2, top + tall)
    axes = figure.add_axes((x, y, wide / _WIDTH, tall / height))
    axes.imshow(panel, aspect="auto")
    axes.set_axis_off()
    if box:
      _draw_box(axes, box)


def _draw_box(axes: Axes, box: Box) -> None:
  """White with a black edge: to be seen on any class."""
  corner = (box.left - 0.5, box.top - 0.5)
  edge = [patheffects.Stroke(linewidth=2, foreground="black"), patheffects.Normal()]
  frame = Rectangle(
    corner,
    box.width,
    box.height,
    fill=False,
    edgecolor="white",
    linewidth=1,
    path_effects=edge,
    clip_on=False,
  )
  axes.add_patch(frame)


def _height(panels: list[np.ndarray]) -> float:
  """Of a row: what is taller than wide is not as wide as the column."""
  height, width = panels[0].shape[:2]
  return min(_SIDE * height / width, _TALLEST)


def _left(column: int) -> float:
  return column * (_SIDE + _GAP)


def _place(height: float, left: float, top: float) -> tuple[float, float]:
  """Inches from the upper left corner to the figure's coordinates."""
  return left / _WIDTH, 1 - top / height

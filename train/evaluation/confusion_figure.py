"""Draws a confusion matrix."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from train.data.classes import ClassTable
from train.visualization.text import short_class_name

_MAX_NUMBERED = 21  # classes up to which the cells have room for numbers


def draw_confusion(confusion: np.ndarray, table: ClassTable) -> Figure:
  """Draws the matrix with each row (a true class) divided by its pixels; rows of absent classes are gray.

  Args:
    confusion: int64 `[K, K]`, or `[K, K + 1]` with a last column of predictions that are no class.
  """
  pixels = confusion.sum(1, keepdims=True)
  shares = np.where(pixels > 0, confusion / np.maximum(pixels, 1), np.nan)
  names = [short_class_name(name) for name in table.names]
  numbered = len(names) <= _MAX_NUMBERED
  side = 3 + (0.3 if numbered else 0.14) * len(names)
  figure = Figure(figsize=(side + 0.5, side), layout="constrained")
  axes = figure.subplots()
  axes.set_facecolor("0.85")
  image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
  size = "medium" if numbered else "x-small"
  axes.set_yticks(range(len(names)), names, fontsize=size)
  columns = [*names, "no class"][: confusion.shape[1]]
  axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=size)
  axes.set(ylabel="truth", xlabel="prediction")
  figure.colorbar(image, ax=axes, shrink=0.6, label="share of the true class's pixels")
  if numbered:
    _write_shares(axes, shares)
  return figure


def _write_shares(axes, shares: np.ndarray) -> None:
  """Writes the shares of at least 1 % into their cells, in per cent."""
  for (row, column), share in np.ndenumerate(shares):
    if share >= 0.01:
      shade = "white" if share > 0.5 else "black"
      axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=shade, fontsize=7)

"""The results of an evaluation for a reader: table, files, the confusion matrix as a picture."""

from __future__ import annotations

import csv
import pathlib

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from train.data.classes import ClassTable
from train.utils.json_files import write_json

NUMBERS = (
  "miou",
  "miou_official",
  "thin_iou",
  "pixel_accuracy",
  "mean_accuracy",
  "frequency_weighted_iou",
  "no_class",
  "boundary_iou",
)
_COLUMNS = {
  "per_class_iou": "IoU",
  "per_class_accuracy": "accuracy",
  "per_class_boundary_iou": "boundary IoU",
}
_NUMBERED = 21  # classes up to which the picture has room for numbers


def print_table(results: dict) -> None:
  """The results for a reader, in per cent; absent classes as a dash.

  Args:
    results: of `train.evaluation.evaluator`, with split and where they are known data and step.
  """
  columns = [key for key in _COLUMNS if key in results]
  step = f", step {results['step']}" if "step" in results else ""
  table = Table("class", title=f"{results.get('data', '')} {results['split']}{step}".strip())
  for heading in (*(f"{_COLUMNS[key]} %" for key in columns), "pixels"):
    table.add_column(heading, justify="right")
  for name, pixels in results["per_class_pixels"].items():
    table.add_row(short_name(name), *(_percent(results[key][name]) for key in columns), f"{pixels:,}")
  table.add_section()
  ious = list(results["per_class_iou"].values())
  over = {
    "miou": f" ({len(ious) - ious.count(None)} that occur)",
    "miou_official": f" (all {len(ious)})",
  }
  for name in NUMBERS:
    if name in results:
      table.add_row(name + over.get(name, ""), _percent(results[name]))
  for width, value in results.get("trimap_miou", {}).items():
    table.add_row(f"trimap_miou, {width} px", _percent(value))
  Console().print(table)


def write_files(results: dict, confusion: np.ndarray, table: ClassTable, stem: pathlib.Path) -> None:
  """STEM.json (with the confusion matrix), STEM.csv (a row a class), STEM.png (the matrix as a picture)."""
  write_json(_file(stem, ".json"), {**results, "confusion": confusion.tolist()})
  keys = [key for key in results if key.startswith("per_class_")]
  with _file(stem, ".csv").open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["train_id", "class", *(key.removeprefix("per_class_") for key in keys)])
    for train_id, name in enumerate(table.names):
      # None, of a class that does not occur, becomes an empty cell.
      writer.writerow([train_id, name, *(results[key][name] for key in keys)])
  confusion_picture(confusion, table).savefig(_file(stem, ".png"), dpi=100, bbox_inches="tight")
  print(f"stored as {stem}.json, .csv, .png")


def confusion_picture(confusion: np.ndarray, table: ClassTable) -> Figure:
  """The matrix with each row, a true class, divided by its pixels; rows of absent classes are grey.

  Args:
    confusion: int64 `[K, K]`, or `[K, K + 1]` with a last column of predictions that are no class.
  """
  pixels = confusion.sum(1, keepdims=True)
  shares = np.where(pixels > 0, confusion / np.maximum(pixels, 1), np.nan)
  names = [short_name(name) for name in table.names]
  numbered = len(names) <= _NUMBERED
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
    for (row, column), share in np.ndenumerate(shares):
      if share >= 0.01:
        shade = "white" if share > 0.5 else "black"
        axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=shade, fontsize=7)
  return figure


def short_name(name: str) -> str:
  """Of a list of synonyms, as ADE20K has them, the first."""
  return name.split(";")[0]


def _file(stem: pathlib.Path, ending: str) -> pathlib.Path:
  return stem.with_name(stem.name + ending)  # with_suffix would cut "predictions-0.5"


def _percent(value: float | None) -> str:
  return "–" if value is None else f"{100 * value:.2f}"  # noqa: RUF001

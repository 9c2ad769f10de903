"""Prints the results of an evaluation as a table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from train.visualization.text import format_percent, short_class_name

_METRICS = (
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


def print_results(results: dict) -> None:
  """Prints the results in per cent; undefined ones as a dash.

  Args:
    results: of `SegmentationEvaluator.compute`, with split and, where they are known, data and step.
  """
  columns = [key for key in _COLUMNS if key in results]
  step = f", step {results['step']}" if "step" in results else ""
  table = Table("class", title=f"{results.get('data', '')} {results['split']}{step}".strip())
  for heading in (*(f"{_COLUMNS[key]} %" for key in columns), "pixels"):
    table.add_column(heading, justify="right")
  for name, pixels in results["per_class_pixels"].items():
    table.add_row(
      short_class_name(name), *(format_percent(results[key][name], 2) for key in columns), f"{pixels:,}"
    )
  table.add_section()
  for name in _METRICS:
    if name in results:
      table.add_row(name + _averaged_classes(name, results), format_percent(results[name], 2))
  for width, value in results.get("trimap_miou", {}).items():
    table.add_row(f"trimap_miou, {width} px", format_percent(value, 2))
  Console().print(table)


def _averaged_classes(metric: str, results: dict) -> str:
  ious = list(results["per_class_iou"].values())
  if metric == "miou":
    return f" ({len(ious) - ious.count(None)} that occur)"
  return f" (all {len(ious)})" if metric == "miou_official" else ""

"""Writes a self-contained HTML page that shows several runs side by side."""

from __future__ import annotations

import pathlib

import matplotlib as mpl

from train.comparison.titles import workdir_names
from train.data.classes import ClassTable
from train.experiment.run import open_run
from train.reporting.alpha_section import build_alpha_section
from train.reporting.pictures import draw_curves, draw_predictions
from train.utils.json_files import read_json
from train.visualization.html import embed_figure, render_page, render_table
from train.visualization.text import format_percent, print_table


def write_report(
  workdirs: list[pathlib.Path], out: pathlib.Path, examples: int = 6, pictures: pathlib.Path | None = None
) -> None:
  """Writes the page and prints its first table.

  A run is named after its folder, preceded by as many parent folders as make the names distinct.

  Args:
    workdirs: of finished runs.
    out: the HTML file.
    examples: number of images whose predictions are shown.
    pictures: folder for curves.png and predictions.png; None: only the page is written.

  Raises:
    FileNotFoundError: a workdir without summary.json.
    ValueError: runs on different data sets, or a workdir given twice.
  """
  mpl.use("Agg")
  by_name = dict(zip(workdir_names(workdirs), workdirs, strict=True))
  if len(by_name) < len(workdirs):
    raise ValueError(f"expected each workdir once, got {', '.join(map(str, workdirs))}")
  summaries = {name: _read_summary(workdir) for name, workdir in by_name.items()}
  datasets = {summary["config"]["data"]["name"] for summary in summaries.values()}
  if len(datasets) > 1:
    raise ValueError(f"expected runs on one data set, got {', '.join(sorted(datasets))}")
  runs = {name: open_run(workdir) for name, workdir in by_name.items()}
  for folder in filter(None, (out.parent, pictures)):
    folder.mkdir(parents=True, exist_ok=True)
  files = {name: pictures and pictures / f"{name}.png" for name in ("curves", "predictions")}
  caption = f"image | truth | {' | '.join(runs)}"
  sections = {
    "Results": render_table(*_result_table(summaries)),
    "IoU by class, per cent": render_table(
      *_class_table(summaries, next(iter(runs.values())).experiment.table)
    ),
    "Curves": embed_figure(draw_curves(by_name), "loss and mIoU against steps", files["curves"]),
    "Predictions": embed_figure(draw_predictions(runs, examples), caption, files["predictions"]),
    "Alpha": build_alpha_section(runs, by_name),
  }
  out.write_text(render_page("P-pooling: runs side by side", sections))
  print_table(*_result_table(summaries))
  print(f"report: {out}")


def _read_summary(workdir: pathlib.Path) -> dict:
  path = workdir / "summary.json"
  if not path.is_file():
    raise FileNotFoundError(f"{workdir}: not a finished run: expected {path}")
  return read_json(path)


def _result_table(summaries: dict[str, dict]) -> tuple[list, list]:
  """(header, rows) of the results, a row per run."""
  header = ["run", "mIoU %", "thin-class IoU %", "pixel accuracy %", "steps", "seconds"]
  rows = []
  for name, summary in summaries.items():
    shares = [format_percent(summary[key], 1) for key in ("miou", "thin_iou", "pixel_accuracy")]
    rows.append([name, *shares, summary["step"], round(summary["seconds"])])
  return header, rows


def _class_table(summaries: dict[str, dict], classes: ClassTable) -> tuple[list, list]:
  """(header, rows) of the IoU, a row per class and a column per run."""
  rows = []
  for row in classes.classes:
    ious = [format_percent(summary["per_class_iou"][row.name], 1) for summary in summaries.values()]
    rows.append([row.name + (" (thin)" if row.thin else ""), *ious])
  return ["class", *summaries], rows

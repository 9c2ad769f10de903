"""python -m train.report --out FILE.html WORKDIR...: runs side by side, in one self-contained page."""

from __future__ import annotations

import argparse
import html
import pathlib

import matplotlib as mpl
import numpy as np

from train.comparison.titles import workdir_names
from train.evaluation.predictor import Predictor
from train.experiment.experiment import open_split
from train.loop.metric_writer import read_metrics
from train.step.saturation import saturated_units
from train.utils.errors import report_errors
from train.utils.json_files import read_json
from train.visualization.colorize import colorize, hconcat, vconcat
from train.visualization.html import embed_figure, render_page, render_table


def main() -> None:
  parser = argparse.ArgumentParser(prog="python -m train.report", description=__doc__)
  parser.add_argument("workdirs", nargs="+", type=pathlib.Path, help="finished runs on one data set")
  parser.add_argument("--out", required=True, type=pathlib.Path, help="the page")
  parser.add_argument("--examples", type=int, default=6, help="images of the evaluation split to show")
  parser.add_argument("--pictures", type=pathlib.Path, help="folder for curves.png and predictions.png too")
  arguments = parser.parse_args()
  with report_errors():
    write_report(**vars(arguments))


def write_report(
  workdirs: list[pathlib.Path], out: pathlib.Path, examples: int = 6, pictures: pathlib.Path | None = None
) -> None:
  """Writes the page and prints its first table.

  Runs are called by their folder, with as many of the folders above as tell them apart.

  Raises:
    FileNotFoundError: a workdir without summary.json.
    ValueError: runs on different data sets, or a workdir given twice.
  """
  from train.experiment.run import open_run

  mpl.use("Agg")
  folders = dict(zip(workdir_names(workdirs), workdirs, strict=True))
  if len(folders) < len(workdirs):
    raise ValueError(f"expected each workdir once, got {', '.join(map(str, workdirs))}")
  summaries = {name: _summary(workdir) for name, workdir in folders.items()}
  names = {summary["config"]["data"]["name"] for summary in summaries.values()}
  if len(names) > 1:
    raise ValueError(f"expected runs on one data set, got {', '.join(sorted(names))}")
  runs = {name: open_run(workdir) for name, workdir in folders.items()}

  def file(name: str) -> pathlib.Path | None:
    return pictures and pictures / f"{name}.png"

  for folder in filter(None, (out.parent, pictures)):
    folder.mkdir(parents=True, exist_ok=True)
  sections = {
    "Results": render_table(*_results(summaries)),
    "IoU by class, per cent": render_table(*_classes(summaries, next(iter(runs.values())).experiment.table)),
    "Curves": embed_figure(_curves(folders), "loss and mIoU against steps", file("curves")),
    "Predictions": embed_figure(
      _predictions(runs, examples), f"image | truth | {' | '.join(runs)}", file("predictions")
    ),
    "Alpha": _alpha(runs, folders),
  }
  out.write_text(render_page("P-pooling: runs side by side", sections))
  _print(*_results(summaries))
  print(f"report: {out}")


def _summary(workdir: pathlib.Path) -> dict:
  path = workdir / "summary.json"
  if not path.is_file():
    raise FileNotFoundError(f"{workdir}: not a finished run: expected {path}")
  return read_json(path)


def _results(summaries: dict) -> tuple[list, list]:
  header = ["run", "mIoU %", "thin-class IoU %", "pixel accuracy %", "steps", "seconds"]
  rows = [
    [name, *(_percent(s[k]) for k in ("miou", "thin_iou", "pixel_accuracy")), s["step"], round(s["seconds"])]
    for name, s in summaries.items()
  ]
  return header, rows


def _classes(summaries: dict, classes) -> tuple[list, list]:
  header = ["class", *summaries]
  rows = [
    [row.name + (" (thin)" if row.thin else "")]
    + [_percent(summary["per_class_iou"][row.name]) for summary in summaries.values()]
    for row in classes.classes
  ]
  return header, rows


def _percent(value: float | None) -> str:
  return "–" if value is None else f"{100 * value:.1f}"  # noqa: RUF001


def _curves(workdirs: dict[str, pathlib.Path]):
  import matplotlib.pyplot as plt

  figure, (losses, scores) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
  for name, workdir in workdirs.items():
    lines = read_metrics(workdir)
    steps, values = zip(*((line["step"], line["loss"]) for line in lines if "loss" in line), strict=True)
    losses.plot(steps, running_mean(values), label=name)
    points = [(line["step"], line["eval/miou"]) for line in lines if "eval/miou" in line]
    scores.plot(*zip(*points, strict=True), marker="o", label=name)
  losses.set(xlabel="step", ylabel="training loss (running mean)", yscale="log")
  scores.set(xlabel="step", ylabel="mIoU, evaluation split")
  losses.legend()
  return figure


def running_mean(values, share: float = 0.1) -> np.ndarray:
  """Means over a window of that share of the values, shorter at the ends."""
  width = max(1, round(share * len(values)))
  ones = np.ones(width)
  return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")


def _predictions(runs: dict, count: int) -> np.ndarray:
  """For each of some images a row: the image, the truth, every run's prediction."""
  first = next(iter(runs.values()))
  source = open_split(first.config, first.config.data.eval_split)
  classes = first.experiment.table
  predict = {name: Predictor(run.experiment, run.config) for name, run in runs.items()}
  rows = []
  for index in np.linspace(0, len(source) - 1, min(count, len(source))).round().astype(int):
    example = source[int(index)]
    panels = [example["image"], colorize(example["label"], classes)]
    for name, run in runs.items():
      panels.append(colorize(predict[name](run.variables, example["image"][None])[0], classes))
    rows.append(hconcat(panels))
  return vconcat(rows)


def _alpha(runs: dict, workdirs: dict[str, pathlib.Path]) -> str:
  """Figure 6 of the paper for the first image, and what saturates, of every run that has P-pooling."""
  from train.analysis.alpha_maps import draw_channel_means, draw_maps
  from train.analysis.picture import AlphaPictures
  from train.analysis.units import find_units

  parts = []
  for name, run in runs.items():
    if not find_units(run.experiment):
      continue
    for sentence in saturated_units(
      read_metrics(workdirs[name]), run.variables["params"], run.config.alpha.get("name", "")
    ):
      parts.append(f"<p>{html.escape(f'{name}: {sentence}.')}</p>")
    image = open_split(run.config, run.config.data.eval_split)[0]["image"]
    picture = AlphaPictures(run.experiment, run.variables, run.config.seed)(image)
    parts.append(embed_figure(draw_channel_means(picture), f"{name}: mean alpha against channel"))
    parts += [embed_figure(draw_maps(picture, unit), f"{name}: alpha of {unit}") for unit in picture.units]
  return "".join(parts) or "<p>No run has P-pooling.</p>"


def _print(header: list, rows: list) -> None:
  from rich.console import Console
  from rich.table import Table

  shown = Table(*header)
  for row in rows:
    shown.add_row(*map(str, row))
  Console().print(shown)


if __name__ == "__main__":
  main()

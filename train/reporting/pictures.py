"""Draws the report's training curves and its predictions side by side."""

from __future__ import annotations

import pathlib

import numpy as np
from matplotlib.figure import Figure

from train.evaluation.predictor import Predictor
from train.experiment.experiment import open_split
from train.experiment.run import Run
from train.loop.metric_writer import read_metrics
from train.visualization.colorize import colorize, hconcat, vconcat


def draw_curves(workdirs: dict[str, pathlib.Path]):
  """Draws the training loss and the mIoU of the evaluations against the step, a line per run.

  Args:
    workdirs: by the run's name.
  """
  figure = Figure(figsize=(10, 3.4), layout="constrained")
  losses, scores = figure.subplots(1, 2)
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
  """Averages over a window of that share of the values, which is shorter at the ends."""
  width = max(1, round(share * len(values)))
  ones = np.ones(width)
  return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")


def draw_predictions(runs: dict[str, Run], count: int) -> np.ndarray:
  """Draws a row per image with the image, its ground truth and every run's prediction.

  Args:
    runs: by name, on one data set.
    count: of images, spread evenly over the evaluation split.

  Returns:
    RGB uint8 `[H, W, 3]`.
  """
  first = next(iter(runs.values()))
  source = open_split(first.config, first.config.data.eval_split)
  classes = first.experiment.table
  predictors = {name: Predictor(run.experiment, run.config) for name, run in runs.items()}
  rows = []
  for index in np.linspace(0, len(source) - 1, min(count, len(source))).round().astype(int):
    example = source[int(index)]
    panels = [example["image"], colorize(example["label"], classes)]
    for name, run in runs.items():
      panels.append(colorize(predictors[name](run.variables, example["image"][None])[0], classes))
    rows.append(hconcat(panels))
  return vconcat(rows)

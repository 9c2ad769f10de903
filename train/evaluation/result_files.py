"""Writes the results of an evaluation as JSON, CSV and a figure of the confusion matrix."""

from __future__ import annotations

import pathlib

import numpy as np

from train.data.classes import ClassTable
from train.evaluation.confusion_figure import draw_confusion
from train.evaluation.predictor import INFERENCE_FIELDS
from train.experiment.run import Run
from train.utils.csv_files import write_csv
from train.utils.json_files import write_json


def result_stem(workdir: pathlib.Path, split: str, step: int) -> pathlib.Path:
  """The path of a run's result files without .json, .csv and .png."""
  return pathlib.Path(workdir, f"evaluation-{split}-{step}")


def run_metadata(run: Run, split: str) -> dict:
  """What a run's result file says about where the results come from."""
  inference = {name: run.config.eval[name] for name in INFERENCE_FIELDS}
  return {"data": run.config.data.name, "split": split, "step": run.step, "inference": inference}


def write_results(results: dict, confusion: np.ndarray, table: ClassTable, stem: pathlib.Path) -> None:
  """Writes STEM.json (with the confusion matrix), STEM.csv (a row per class) and STEM.png (the matrix)."""
  write_json(_add_suffix(stem, ".json"), {**results, "confusion": confusion.tolist()})
  keys = [key for key in results if key.startswith("per_class_")]
  rows = [
    [train_id, name, *(results[key][name] for key in keys)] for train_id, name in enumerate(table.names)
  ]
  header = ["train_id", "class", *(key.removeprefix("per_class_") for key in keys)]
  write_csv(_add_suffix(stem, ".csv"), header, rows)
  draw_confusion(confusion, table).savefig(_add_suffix(stem, ".png"), dpi=100, bbox_inches="tight")
  print(f"wrote {stem}.json, .csv, .png")


def _add_suffix(stem: pathlib.Path, suffix: str) -> pathlib.Path:
  return stem.with_name(stem.name + suffix)  # with_suffix would cut "predictions-0.5"

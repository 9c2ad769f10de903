"""Opens two runs for a comparison: on the same images and classes, with the same inference settings."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from train.comparison.titles import distinct_titles
from train.data.classes import ClassTable
from train.evaluation.predictor import INFERENCE_FIELDS
from train.experiment.experiment import open_split
from train.experiment.run import Run, open_run


class RunPair(NamedTuple):
  """The baseline and the run that is compared with it.

  Attributes:
    workdirs, runs, titles: of both; the second run has the first one's config.eval.
    split, source: the split's name, and random access to its examples.
    table: the classes.
  """

  workdirs: tuple[pathlib.Path, pathlib.Path]
  runs: tuple[Run, Run]
  titles: tuple[str, str]
  split: str
  source: Any
  table: ClassTable


def open_pair(
  workdirs: Sequence[pathlib.Path],
  steps: Sequence[int | None] = (None, None),
  split: str | None = None,
  titles: Sequence[str] | None = None,
) -> RunPair:
  """Opens the runs and their split.

  Args:
    workdirs: of the baseline and of the other run.
    steps: their checkpoints; None: the newest.
    split: None: the configs'.
    titles: of the runs in figures; None: their poolings.

  Raises:
    FileNotFoundError: no run, no checkpoint, or a data set that is not prepared.
    ValueError: runs on different data sets, classes, splits or images, or the same checkpoint twice.
  """
  first, second = (pathlib.Path(workdir) for workdir in workdirs)
  runs = open_run(first, steps[0]), open_run(second, steps[1])
  if first.resolve() == second.resolve() and runs[0].step == runs[1].step:
    raise ValueError(f"expected two runs or two steps, got {first} at step {runs[0].step} twice")
  _require_equal("data sets (data.name)", [run.config.data.name for run in runs])
  if not split:
    split = _require_equal("splits (data.eval_split), or --split", [r.config.data.eval_split for r in runs])
  if runs[0].experiment.table.rows != runs[1].experiment.table.rows:
    raise ValueError(f"expected runs with the same classes, got different tables in {first} and {second}")
  sources = [open_split(run.config, split) for run in runs]
  _check_images(sources[0], sources[1], [run.config.data.options.to_dict() for run in runs])
  _use_same_inference(runs, first)
  baseline, other = titles or distinct_titles(
    [run.config for run in runs], (first, second), [run.step for run in runs]
  )
  return RunPair((first, second), runs, (baseline, other), split, sources[0], runs[0].experiment.table)


def _require_equal(what: str, values: list[str]) -> str:
  if values[0] != values[1]:
    raise ValueError(f"expected runs with the same {what}, got {values[0]!r} and {values[1]!r}")
  return values[0]


def _check_images(first, second, options: list[dict]) -> None:
  """Compares the number of examples, and the first, middle and last example."""
  probes = {0, len(first) // 2, len(first) - 1}
  if len(first) != len(second) or not all(_same_example(first[i], second[i]) for i in sorted(probes)):
    differ = [key for key in sorted({*options[0], *options[1]}) if options[0].get(key) != options[1].get(key)]
    fields = ", ".join(f"data.options.{key}" for key in differ) or "the prepared data"
    raise ValueError(f"expected runs on the same images, got different ones: {fields} differs")


def _same_example(first: dict, second: dict) -> bool:
  return first["id"] == second["id"] and np.array_equal(first["label"], second["label"])


def _use_same_inference(runs: tuple[Run, Run], first: pathlib.Path) -> None:
  """Gives the second run the first one's config.eval."""
  baseline, other = (run.config.eval for run in runs)
  changed = [name for name in INFERENCE_FIELDS if baseline[name] != other[name]]
  if changed:
    fields = ", ".join(f"eval.{name}" for name in changed)
    print(f"both runs are evaluated with the eval config of {first}; the other run's has another {fields}")
  other.update(baseline)

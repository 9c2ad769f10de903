"""Compares two runs: evaluates both, and writes gains by class, example images and the figures."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

import numpy as np

from train.comparison import figure4, figure5
from train.comparison.examples import Example, write_examples, write_panels
from train.comparison.gains import class_gains, mean_gain, write_gains
from train.comparison.run_pair import RunPair, open_pair
from train.comparison.selection import GivenIds, LargestGains, find_examples
from train.evaluation.best_worst import image_miou
from train.evaluation.evaluator import SegmentationEvaluator
from train.evaluation.predictor import Predictor, predict_dataset_jointly
from train.evaluation.result_files import result_stem, run_metadata, write_results
from train.experiment.run import Run
from train.visualization.colorize import write_figure


def compare(
  baseline: pathlib.Path,
  other: pathlib.Path,
  out: pathlib.Path,
  split: str | None = None,
  count: int = 4,
  images: Sequence[str] | None = None,
  step: Sequence[int | None] = (None,),
  names: Sequence[str] | None = None,
  zoom: bool = False,
) -> None:
  """Writes a comparison into the folder `out` and replaces an earlier one.

  Written are figure5.png, figure5.pdf and gains.csv; and, of the selected images, figure4.png, figure4.pdf,
  examples.csv and panels/ with each panel at its own size. A run without stored results of this step and
  split is evaluated, and the results are stored in its workdir as `train.evaluation` does.

  Args:
    count: how many images to select, those in which `other` gains most; 0: no Figure 4.
    images: ids of the images to select instead.
    step: one checkpoint of both runs or one of each; None: the newest.
    names: of both runs in the figures; None: their poolings.
    zoom: whether Figure 4 also shows the boxes enlarged.

  Raises:
    FileNotFoundError, ValueError: as `open_pair`, or an unknown image id; before anything is evaluated.
  """
  pair = open_pair((baseline, other), (step[0], step[-1]), split, names)
  selection = GivenIds(images) if images else LargestGains(count)
  stored = [
    _read_confusion(*arguments, pair.split) for arguments in zip(pair.workdirs, pair.runs, strict=True)
  ]
  requested = find_examples(pair.source, images or ())
  out.mkdir(parents=True, exist_ok=True)
  confusions = [confusion for confusion in stored if confusion is not None]
  if len(confusions) < len(stored) or not (images or count == 0):
    confusions = _evaluate_split(pair, selection)
  else:
    _predict(pair, requested, selection)
  _delete_comparison(out)
  _write_gains(pair, confusions, out)
  _write_examples(pair, selection.examples(), out, zoom)


def _read_confusion(workdir: pathlib.Path, run: Run, split: str) -> np.ndarray | None:
  """The stored confusion matrix of this step, split and inference, int64 `[K, K]`; None if there is none."""
  path = result_stem(workdir, split, run.step).with_suffix(".json")
  if not path.is_file():
    return None
  try:
    stored = json.loads(path.read_text())
  except ValueError as error:
    raise ValueError(f"{path}: not an evaluation ({error}); delete it") from error
  expected = json.loads(json.dumps(run_metadata(run, split)))
  if any(stored.get(key) != value for key, value in expected.items()):
    return None
  return np.array(stored["confusion"], np.int64)


def _predict(pair: RunPair, source, selection) -> list[SegmentationEvaluator]:
  """Predicts the examples of `source` with both runs, evaluates them and adds them to `selection`."""
  evaluators = [SegmentationEvaluator(pair.table) for _ in pair.runs]
  config = pair.runs[0].config
  networks = [(Predictor(run.experiment, config), run.variables) for run in pair.runs]
  for example, predictions in predict_dataset_jointly(networks, source, config):
    label = example["label"]
    first, second = predictions
    scores = [
      image_miou(evaluator.update(label, labels))
      for evaluator, labels in zip(evaluators, predictions, strict=True)
    ]
    pairs = (first, second), (scores[0], scores[1])
    selection.add(Example(str(example["id"]), example["image"], label, *pairs))
  return evaluators


def _evaluate_split(pair: RunPair, selection) -> list[np.ndarray]:
  """The confusion matrices of the whole split; stores them in the workdirs that have none."""
  evaluators = _predict(pair, pair.source, selection)
  for workdir, run, evaluator in zip(pair.workdirs, pair.runs, evaluators, strict=True):
    stem = result_stem(workdir, pair.split, run.step)
    results = {**run_metadata(run, pair.split), **evaluator.compute()}
    if not stem.with_suffix(".json").exists():
      write_results(results, evaluator.confusion, pair.table, stem)
  return [evaluator.confusion for evaluator in evaluators]


def _delete_comparison(out: pathlib.Path) -> None:
  """Deletes the files of an earlier call, so that all files in `out` are of the same runs."""
  for name in ("figure[45].png", "figure[45].pdf", "gains.csv", "examples.csv", "panels/*.png"):
    for old in out.glob(name):
      old.unlink()


def _write_gains(pair: RunPair, confusions: Sequence[np.ndarray], out: pathlib.Path) -> None:
  present, absent = class_gains(confusions[0], confusions[1], pair.table)
  write_gains(present, absent, pair.table, out / "gains.csv")
  write_figure(figure5.draw(present, absent, pair.titles, pair.split), out / "figure5")
  improved = sum(row.gain > 0 for row in present)
  print(f"{pair.titles[1]} against {pair.titles[0]}: {mean_gain(present):+.2f} points of mean IoU,")
  print(f"{improved} of {len(present)} classes gain: {out / 'figure5.png'}, .pdf, {out / 'gains.csv'}")


def _write_examples(pair: RunPair, examples: Sequence[Example], out: pathlib.Path, zoom: bool) -> None:
  if not examples:
    return
  write_examples(examples, out / "examples.csv")
  write_panels(examples, pair.table, out / "panels")
  write_figure(figure4.draw(examples, pair.titles, pair.table, zoom), out / "figure4")
  print(f"{len(examples)} images: {out / 'figure4.png'}, .pdf, {out / 'examples.csv'}, {out / 'panels'}")

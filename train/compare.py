"""Two runs as a paper shows them: predictions side by side (Figure 4), what each class gains (Figure 5).

python -m train.compare BASELINE OTHER --out DIR [--split val] [--count 4 | --images ID ...] [--zoom]
"""

from __future__ import annotations

import argparse
import json
import pathlib
from collections.abc import Sequence

import numpy as np

from train.comparison import figure4, figure5
from train.comparison.examples import Example, MostGaining, Named, find, write_examples, write_panels
from train.comparison.gains import gains, mean_gain, write_gains
from train.comparison.pair import Pair, open_pair
from train.evaluation.best_worst import image_miou
from train.evaluation.evaluator import SegmentationEvaluator
from train.evaluation.predictor import Predictor, predict_dataset_jointly
from train.evaluation.result_files import result_stem, run_metadata, write_results
from train.utils.errors import report_errors
from train.visualization.colorize import write_figure


def main() -> None:
  arguments = parse()
  with report_errors():
    compare(**arguments)


def parse(command: list[str] | None = None) -> dict:
  """The arguments of `compare`.

  Args:
    command: the words after the program's name; None: those that it was called with.
  """
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser("python -m train.compare", description=__doc__, formatter_class=raw)
  parser.add_argument("baseline", type=pathlib.Path, help="workdir of the run to compare with")
  parser.add_argument("other", type=pathlib.Path, help="workdir of the run whose gain is shown")
  parser.add_argument("--out", required=True, type=pathlib.Path, metavar="DIR", help="for the figures")
  parser.add_argument("--split", help="of the data set (default: the configs')")
  which = parser.add_mutually_exclusive_group()
  which.add_argument(
    "--count", type=int, default=4, metavar="N", help="show the N that gain most (default: 4)"
  )
  which.add_argument("--images", nargs="+", metavar="ID", help="show these")
  steps = "checkpoint of both, or of each (default: the newest)"
  parser.add_argument("--step", type=int, nargs="+", default=[None], metavar="S", help=steps)
  parser.add_argument("--names", nargs=2, metavar="NAME", help="of both (default: as their configs pool)")
  parser.add_argument("--zoom", action="store_true", help="show the boxes enlarged, too")
  arguments = vars(parser.parse_args(command))
  if arguments["count"] < 0:
    parser.error(f"--count: expected 0 or more, got {arguments['count']}")
  if len(arguments["step"]) > 2:
    parser.error(f"--step: expected one of both or one of each, got {len(arguments['step'])}")
  return arguments


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
  """Writes into `out`, over what an earlier call left there:

  figure4.png and .pdf, examples.csv and panels/, each panel at its own size, of the images that `count`
  or `images` choose; figure5.png and .pdf, and gains.csv. What was not evaluated yet is, once, and kept as
  `train.evaluation.evaluate` keeps it.

  Args:
    count: how many of the images in which `other` gains most; 0: no Figure 4.
    images: ids of those to show instead.
    step: one checkpoint of both or one of each; None: the newest.
    names: of both in the figures.

  Raises:
    FileNotFoundError, ValueError: as `open_pair`; no image of such an id. Before anything is evaluated.
  """
  pair = open_pair((baseline, other), (step[0], step[-1]), split, names)
  shown = Named(images) if images else MostGaining(count)
  stored = [_stored(*arguments, pair.split) for arguments in zip(pair.workdirs, pair.runs, strict=True)]
  chosen = find(pair.source, images or ())
  out.mkdir(parents=True, exist_ok=True)
  if any(confusion is None for confusion in stored) or not (images or count == 0):
    confusions = _evaluate(pair, shown)
  else:
    confusions = stored
    _predict(pair, chosen, shown)
  _clear(out)
  _write_gains(pair, confusions, out)
  _write_examples(pair, shown.examples(), out, zoom)


def _stored(workdir: pathlib.Path, run, split: str) -> np.ndarray | None:
  """The confusion matrix of an evaluation of this step in this way, int64 `[K, K]`, if there is one."""
  path = result_stem(workdir, split, run.step).with_suffix(".json")
  if not path.is_file():
    return None
  try:
    stored = json.loads(path.read_text())
  except ValueError as error:
    raise ValueError(f"{path}: not an evaluation ({error}); delete it") from error
  wanted = json.loads(json.dumps(run_metadata(run, split)))
  if any(stored.get(key) != value for key, value in wanted.items()):
    return None
  return np.array(stored["confusion"], np.int64)


def _predict(pair: Pair, source, shown) -> list[SegmentationEvaluator]:
  """Predicts, counts and shows the examples of `source` to `shown`."""
  evaluators = [SegmentationEvaluator(pair.table) for _ in pair.runs]
  config = pair.runs[0].config
  networks = [(Predictor(run.experiment, config), run.variables) for run in pair.runs]
  for example, found in predict_dataset_jointly(networks, source, config):
    label = example["label"]
    counts = [image_miou(e.update(label, labels)) for e, labels in zip(evaluators, found, strict=True)]
    shown.add(Example(str(example["id"]), example["image"], label, tuple(found), tuple(counts)))
  return evaluators


def _evaluate(pair: Pair, shown) -> list[np.ndarray]:
  """The confusion matrices of the whole split, kept in the workdirs that have none."""
  evaluators = _predict(pair, pair.source, shown)
  for workdir, run, evaluator in zip(pair.workdirs, pair.runs, evaluators, strict=True):
    stem = result_stem(workdir, pair.split, run.step)
    results = {**run_metadata(run, pair.split), **evaluator.compute()}
    if not stem.with_suffix(".json").exists():
      write_results(results, evaluator.confusion, pair.table, stem)
  return [evaluator.confusion for evaluator in evaluators]


def _clear(out: pathlib.Path) -> None:
  """Deletes what an earlier call left, so that no figure is of other runs than the rest."""
  for name in ("figure[45].png", "figure[45].pdf", "gains.csv", "examples.csv", "panels/*.png"):
    for old in out.glob(name):
      old.unlink()


def _write_gains(pair: Pair, confusions: Sequence[np.ndarray], out: pathlib.Path) -> None:
  present, absent = gains(*confusions, pair.table)
  write_gains(present, absent, pair.table, out / "gains.csv")
  write_figure(figure5.draw(present, absent, pair.titles, pair.split), out / "figure5")
  won = sum(row.gain > 0 for row in present)
  print(f"{pair.titles[1]} against {pair.titles[0]}: {mean_gain(present):+.2f} points of IoU in the mean,")
  print(f"{won} of {len(present)} classes gain: {out / 'figure5.png'}, .pdf, {out / 'gains.csv'}")


def _write_examples(pair: Pair, examples: Sequence[Example], out: pathlib.Path, zoom: bool) -> None:
  if not examples:
    return
  write_examples(examples, out / "examples.csv")
  write_panels(examples, pair.table, out / "panels")
  write_figure(figure4.draw(examples, pair.titles, pair.table, zoom), out / "figure4")
  print(f"{len(examples)} images: {out / 'figure4.png'}, .pdf, {out / 'examples.csv'}, {out / 'panels'}")


if __name__ == "__main__":
  main()

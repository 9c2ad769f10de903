"""Evaluation of a run, or of predictions made elsewhere: counted, printed, stored."""

from __future__ import annotations

import os
import pathlib

import jax
import numpy as np

from train.data.prepared import Part
from train.data.registry import dataset
from train.data.server_formats import FORMATS
from train.distributed import multihost
from train.evaluation.best_worst import Extremes, image_score
from train.evaluation.evaluator import TRIMAP, Scores, summarise
from train.evaluation.label_maps import IDS, Predictions, prediction_files
from train.evaluation.options import VIEWS
from train.evaluation.predictor import Predictor, batches_by_size, predictions
from train.evaluation.result_files import print_table, write_files
from train.experiment.experiment import Experiment, open_split

__all__ = ["batches_by_size", "evaluate", "evaluate_files", "evaluate_workdir", "make_predict", "print_table",
           "summarise"]  # fmt: skip

_SUSPICIOUS = 0.2  # share of pixels without a class that a mistaken --ids makes

make_predict = Predictor
"""`make_predict(experiment, config)` is a function `(variables, images) -> classes`: see `Predictor`."""


def evaluate_workdir(
  workdir: pathlib.Path,
  step: int | None = None,
  split: str | None = None,
  *,
  boundary: float = 0.0,
  pictures: int = 0,
  changes: dict | None = None,
) -> dict:
  """Prints a run's results and stores them as WORKDIR/evaluation-SPLIT-STEP.json, .csv and .png.

  Args:
    step: the checkpoint; None: the newest.
    split: of the data set; None: the config's.
    boundary: the band of Boundary IoU as a share of the image's diagonal, which Cheng et al. set to
      0.02; with it the trimap's mIoU is counted, too. 0: neither.
    pictures: how many of the best and worst images to draw, into a folder beside.
    changes: of config.eval's fields.

  Raises:
    FileNotFoundError, ValueError: no run or no such checkpoint there, or settings that cannot be.
  """
  from train.experiment.run import open_run

  run = open_run(workdir, step)
  config = run.config
  config.eval.update(changes or {})
  split = split or config.data.eval_split
  pairs = predictions(run.experiment, run.variables, open_split(config, split), config)
  stem = evaluation_stem(workdir, split, run.step)
  return _judge(pairs, run.experiment.table, stem, about_run(run, split), boundary, pictures)


def evaluation_stem(workdir: pathlib.Path, split: str, step: int) -> pathlib.Path:
  """Where a run's results lie, without .json, .csv and .png."""
  return pathlib.Path(workdir, f"evaluation-{split}-{step}")


def about_run(run, split: str) -> dict:
  """What a run's stored results say of where they come from.

  Args:
    run: of `train.experiment.run.open_run`.
  """
  ways = {name: run.config.eval[name] for name in VIEWS}
  return {"data": run.config.data.name, "split": split, "step": run.step, "inference": ways}


def evaluate_files(
  predictions: pathlib.Path,
  data: str,
  dir: str | None = None,
  split: str = "val",
  ids: str = "train",
  *,
  boundary: float = 0.0,
  pictures: int = 0,
) -> dict:
  """As `evaluate_workdir`, of label maps; stored as PREDICTIONS-evaluation-SPLIT.json and so on.

  A predicted value that is no class is a miss of the true one.

  Args:
    predictions: folder, zip or tar with a PNG an image: ID.png, at any depth, or as the data set's server
      identifies it, for Cityscapes CITY_SEQUENCE_FRAME*.png.
    data, dir: name of the data set, and where it is prepared.
    ids: what the files hold, "train" ids or the data set's "raw" ones.

  Raises:
    FileNotFoundError, ValueError: no such folder, archive or data set; files that are missing or wrong.
  """
  options = {"dir": dir} if dir else {}
  source, table = dataset(data).open(split, **options), dataset(data).table_of(**options)
  place = pathlib.Path(os.path.abspath(predictions))
  files = Predictions(place, FORMATS[data].identify if data in FORMATS else str)
  pairs = prediction_files(source, table, files, ids)
  stem, about = place.with_name(f"{place.name}-evaluation-{split}"), {"data": data, "split": split}
  results = _judge(pairs, table, stem, about, boundary, pictures, lenient=True)
  if results["no_class"] > _SUSPICIOUS:
    other = next(kind for kind in IDS if kind != ids)
    print(
      f"{100 * results['no_class']:.0f} % of the pixels are predicted as no class; does --ids {other} fit?"
    )
  return results


def _judge(pairs, table, stem, about: dict, boundary: float, pictures: int, lenient: bool = False) -> dict:
  """Counts (example, prediction) pairs, prints and stores."""
  trimap = TRIMAP if boundary else ()
  scores, extremes = Scores(table, boundary, trimap, lenient), Extremes(pictures, table)
  for example, prediction in pairs:
    extremes.add(example, prediction, image_score(scores.add(example["label"], prediction)))
  results = {**about, **scores.results()}
  print_table(results)
  write_files(results, scores.confusion, table, stem)
  extremes.write(stem)
  return results


def evaluate(
  experiment: Experiment, variables, source, config, predictor: Predictor | None = None
) -> np.ndarray:
  """The confusion matrix of the whole set, int64 `[K, K]`, each image once at its own size.

  Every process counts its share of the images.

  Args:
    source: random access to labelled examples.
    config: with parallel and eval.
    predictor: as of `predictions`.

  Raises:
    ValueError: every pixel is ignored.
  """
  scores = Scores(experiment.table)

  def count() -> list:
    share = Part(source, range(jax.process_index(), len(source), jax.process_count()))
    for example, prediction in predictions(experiment, variables, share, config, predictor):
      scores.add(example["label"], prediction)
    return scores.confusion.tolist()

  scores.confusion = np.sum(multihost.gather(multihost.together(count)), axis=0)
  return scores.checked()

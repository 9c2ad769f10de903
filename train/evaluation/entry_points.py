"""What python -m train.evaluate runs: the evaluation of a run, or of label maps from another program."""

from __future__ import annotations

import os
import pathlib

from train.data.registry import get_dataset
from train.data.submission_formats import SUBMISSION_FORMATS
from train.evaluation.best_worst import BestWorstImages, image_miou
from train.evaluation.evaluator import TRIMAP_WIDTHS, SegmentationEvaluator
from train.evaluation.label_maps import LABEL_IDS, LabelMapFiles, read_predictions
from train.evaluation.predictor import predict_dataset
from train.evaluation.result_files import result_stem, run_metadata, write_results
from train.evaluation.result_table import print_results
from train.experiment.experiment import open_split
from train.experiment.run import open_run

_SUSPICIOUS = 0.2  # share of pixels without a class that suggests the wrong --ids


def evaluate_workdir(
  workdir: pathlib.Path,
  step: int | None = None,
  split: str | None = None,
  *,
  boundary: float = 0.0,
  pictures: int = 0,
  changes: dict | None = None,
) -> dict:
  """Evaluates a run, prints the results and writes WORKDIR/evaluation-SPLIT-STEP.json, .csv and .png.

  Args:
    step: the checkpoint; None: the newest.
    split: of the data set; None: the config's.
    boundary: width of the Boundary IoU's band as a share of the image's diagonal (Cheng et al. use
      0.02); the mIoU within trimaps is computed with it. 0: neither.
    pictures: how many of the best and worst images to draw, into the folder WORKDIR/evaluation-SPLIT-STEP.
    changes: new values of config.eval's fields.

  Raises:
    FileNotFoundError, ValueError: there is no run or no such checkpoint, or a setting is invalid.
  """
  run = open_run(workdir, step)
  config = run.config
  config.eval.update(changes or {})
  split = split or str(config.data.eval_split)
  pairs = predict_dataset(run.experiment, run.variables, open_split(config, split), config)
  stem = result_stem(workdir, split, run.step)
  return _score(pairs, run.experiment.table, stem, run_metadata(run, split), boundary, pictures)


def evaluate_label_maps(
  predictions: pathlib.Path,
  data: str,
  dir: str | None = None,
  split: str = "val",
  ids: str = "train",
  *,
  boundary: float = 0.0,
  pictures: int = 0,
) -> dict:
  """Evaluates label maps as `evaluate_workdir` does; writes PREDICTIONS-evaluation-SPLIT.json etc.

  A predicted value that is no class counts as a miss of the true class.

  Args:
    predictions: folder, zip or tar with one PNG per image, at any depth: ID.png, or the name that the data
      set's server takes (for Cityscapes CITY_SEQUENCE_FRAME*.png).
    data, dir: the data set's name, and the folder where it is prepared.
    ids: what the pixels hold, "train" ids or the data set's "raw" ids.

  Raises:
    FileNotFoundError, ValueError: there is no such folder, archive or data set; files are missing or wrong.
  """
  options = {"dir": dir} if dir else {}
  source, table = get_dataset(data).open(split, **options), get_dataset(data).class_table(**options)
  path = pathlib.Path(os.path.abspath(predictions))
  files = LabelMapFiles(path, SUBMISSION_FORMATS[data].identify if data in SUBMISSION_FORMATS else str)
  pairs = read_predictions(source, table, files, ids)
  stem, metadata = path.with_name(f"{path.name}-evaluation-{split}"), {"data": data, "split": split}
  results = _score(pairs, table, stem, metadata, boundary, pictures, lenient=True)
  if results["no_class"] > _SUSPICIOUS:
    other = next(kind for kind in LABEL_IDS if kind != ids)
    print(
      f"{100 * results['no_class']:.0f} % of the pixels are predicted as no class; does --ids {other} fit?"
    )
  return results


def _score(pairs, table, stem, metadata: dict, boundary: float, pictures: int, lenient: bool = False) -> dict:
  """Evaluates (example, prediction) pairs; prints and writes the results."""
  evaluator = SegmentationEvaluator(table, boundary, TRIMAP_WIDTHS if boundary else (), lenient)
  images = BestWorstImages(pictures, table)
  for example, prediction in pairs:
    images.add(example, prediction, image_miou(evaluator.update(example["label"], prediction)))
  results = {**metadata, **evaluator.compute()}
  print_results(results)
  write_results(results, evaluator.confusion, table, stem)
  images.write(stem)
  return results

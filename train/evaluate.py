"""python -m train.evaluate --workdir DIR: mIoU of a run from one whole-set confusion matrix."""

from __future__ import annotations

import argparse
import logging
import math
import pathlib
from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.table import Table

from ppool_jax import metrics
from train.data.classes import IGNORE
from train.errors import report_errors
from train.experiment import Experiment, open_split, write_json
from train.parallel import backend
from train.progress import Meter

_LOG = logging.getLogger("train")


def main() -> None:
  parser = argparse.ArgumentParser(prog="python -m train.evaluate", description=__doc__)
  parser.add_argument("--workdir", required=True, type=pathlib.Path, help="of the training")
  parser.add_argument("--step", type=int, help="checkpoint to evaluate (default: the newest)")
  parser.add_argument("--split", help="of the data set (default: the config's)")
  arguments = parser.parse_args()
  with report_errors():
    evaluate_workdir(arguments.workdir, arguments.step, arguments.split)


def evaluate_workdir(workdir: pathlib.Path, step: int | None = None, split: str | None = None) -> dict:
  """Prints the results and stores them as WORKDIR/evaluation-SPLIT-STEP.json.

  Raises:
    FileNotFoundError, ValueError: no run or no such checkpoint there.
  """
  from train.run import open_run

  run = open_run(workdir, step)
  split = split or run.config.data.eval_split
  confusion = evaluate(run.experiment, run.variables, open_split(run.config, split), run.config)
  results = {"step": run.step, "split": split, **summarise(confusion, run.experiment.table)}
  print_table(results)
  path = pathlib.Path(workdir, f"evaluation-{split}-{run.step}.json")
  write_json(path, {**results, "confusion": confusion.tolist()})
  print(f"stored as {path}")
  return results


def evaluate(experiment: Experiment, variables, source, config) -> np.ndarray:
  """The confusion matrix of the whole set, int64 `[K, K]`, each image once at its own size.

  Args:
    source: random access to labelled examples.
    config: with parallel and eval.batch.
  """
  predict = make_predict(experiment, config)
  classes = experiment.table.num_classes
  total = np.zeros((classes, classes), np.int64)
  meter = Meter(len(source), "evaluation", "images")
  for examples in batches_by_size(source, config.eval.batch):
    predictions = predict(variables, np.stack([example["image"] for example in examples]))
    for example, prediction in zip(examples, predictions, strict=True):
      total += metrics.confusion(example["label"], prediction, classes, IGNORE)
    meter.advance(len(examples))
  meter.close()
  if not total.any():
    raise ValueError("evaluation: every pixel of the set is ignored; is the right table of classes in use?")
  return total


def make_predict(experiment: Experiment, config):
  """A function `(variables, uint8 images [N, H, W, 3]) -> classes uint8 [N, H, W]`, any N."""
  import jax.numpy as jnp

  parallel = backend(config.parallel)
  devices = len(parallel.devices)

  def classify(variables, images):
    logits = experiment.model.apply(variables, experiment.preprocess(images))
    return logits.argmax(-1).astype(jnp.uint8)

  compiled = parallel.compile_map(classify)

  def predict(variables, images: np.ndarray) -> np.ndarray:
    padded = np.concatenate([images, np.repeat(images[:1], -len(images) % devices, axis=0)])
    return parallel.fetch_map(compiled(variables, parallel.place_batch(padded)))[: len(images)]

  return predict


def batches_by_size(source, batch: int) -> Iterator[list[dict]]:
  """Every example once, in lists of at most `batch` that have the same size."""
  waiting: dict[tuple, list] = {}
  for index in range(len(source)):
    example = source[index]
    group = waiting.setdefault(example["label"].shape, [])
    group.append(example)
    if len(group) == batch:
      yield waiting.pop(example["label"].shape)
  yield from waiting.values()


def summarise(confusion: np.ndarray, table) -> dict:
  """miou, pixel_accuracy, mean_accuracy, thin_iou and per_class_iou (name -> number or None)."""
  iou = metrics.iou(confusion)
  thin = iou[list(table.thin)]
  return {
    "miou": metrics.mean_iou(confusion),
    "pixel_accuracy": metrics.pixel_accuracy(confusion),
    "mean_accuracy": metrics.mean_accuracy(confusion),
    "thin_iou": float(np.nanmean(thin)) if (~np.isnan(thin)).any() else None,
    "per_class_iou": {
      name: None if math.isnan(value) else float(value) for name, value in zip(table.names, iou, strict=True)
    },
  }


def print_table(results: dict) -> None:
  """The results for a reader, in per cent; absent classes as a dash."""
  table = Table(title=f"{results['split']}, step {results['step']}")
  table.add_column("class")
  table.add_column("IoU %", justify="right")
  for name, value in results["per_class_iou"].items():
    table.add_row(name, "–" if value is None else f"{100 * value:.2f}")  # noqa: RUF001
  table.add_section()
  for name in ("miou", "thin_iou", "pixel_accuracy", "mean_accuracy"):
    value = results[name]
    table.add_row(name, "–" if value is None else f"{100 * value:.2f}")  # noqa: RUF001
  Console().print(table)


if __name__ == "__main__":
  main()

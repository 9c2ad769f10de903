"""Evaluates variables on a whole data set, over all processes of a run."""

from __future__ import annotations

import jax
import numpy as np

from train.data.prepared import SubsetSource
from train.distributed import multihost
from train.evaluation.evaluator import SegmentationEvaluator, check_confusion
from train.evaluation.predictor import Predictor, predict_dataset
from train.experiment.experiment import Experiment


def evaluate(
  experiment: Experiment, variables, source, config, predictor: Predictor | None = None
) -> np.ndarray:
  """Computes the confusion matrix of a data set, int64 `[K, K]`, each image once at its own size.

  Every process predicts its share of the images; all return the sum.

  Args:
    source: random access to labeled examples.
    config: with parallel and eval.
    predictor: as of `predict_dataset`.

  Raises:
    ValueError: every pixel is ignored.
  """

  def count() -> list:
    evaluator = SegmentationEvaluator(experiment.table)
    share = SubsetSource(source, range(jax.process_index(), len(source), jax.process_count()))
    for example, prediction in predict_dataset(experiment, variables, share, config, predictor):
      evaluator.update(example["label"], prediction)
    return evaluator.confusion.tolist()

  confusion = np.sum(multihost.gather(multihost.all_or_raise(count)), axis=0)
  check_confusion(confusion)
  return confusion

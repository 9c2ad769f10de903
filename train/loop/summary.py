"""The summary of a finished run."""

from __future__ import annotations

import logging

from train.checkpointing.digests import params_sha256
from train.distributed import multihost
from train.evaluation.result_table import print_results
from train.loop.context import LoopContext
from train.loop.metric_writer import read_metrics
from train.step.saturation import describe_saturation
from train.step.step import TrainState
from train.utils.json_files import write_json

_LOG = logging.getLogger("train")


def write_summary(context: LoopContext, step: int, state: TrainState, results: dict) -> dict:
  """Writes summary.json, prints the scores, and warns of saturated alphas.

  Args:
    step: steps done.
    state: after them.
    results: of the last evaluation.

  Returns:
    The contents of summary.json.
  """
  config = context.config
  summary = {
    "step": step,
    **results,
    "params_sha256": params_sha256(state.params),
    "seconds": context.seconds,
    **context.metrics.totals,
    "rollbacks": len(context.rollbacks),
    "config": config.to_dict(),
  }
  multihost.on_primary(write_json, context.workdir / "summary.json", summary)
  if multihost.is_primary():
    print_results({"split": config.data.eval_split, **summary})
    lines = read_metrics(context.workdir)
    for sentence in describe_saturation(lines, state.params, config.alpha.get("name", "")):
      _LOG.warning("%s", sentence)
  return summary

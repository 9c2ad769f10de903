"""The hooks of the training loop, in the order in which they are called."""

from __future__ import annotations

import logging

from train.distributed import multihost
from train.evaluation.evaluate import evaluate
from train.evaluation.evaluator import summarize_confusion
from train.experiment.run import model_variables
from train.loop.context import LoopContext
from train.loop.divergence import DivergenceHandler
from train.loop.hook import Hook
from train.loop.metric_writer import read_metrics
from train.step.step import TrainState

_LOG = logging.getLogger("train")


class CheckpointHook(Hook):
  """Saves the state when it is due, and ends the run if a process cannot log.

  The flags that ask for a checkpoint were read by `DivergenceHandler` after the same step.
  """

  def after_step(self, step: int, state: TrainState) -> TrainState:
    context = self._context
    if context.is_checkpoint_due(step):
      multihost.on_primary(context.checkpointer.save, step, state, context.seconds)
      if context.control.log_failed:
        context.raise_log_error()
      context.control.reset_save_timer()
    return state

  def on_end(self) -> None:
    multihost.on_primary(self._context.checkpointer.wait)


class EvaluationHook(Hook):
  """Evaluates the state when it is due, and saves the state with the best mIoU.

  Attributes:
    results: of the last evaluation, as `summary.json` has them; empty before the first.
  """

  def __init__(self, context: LoopContext):
    super().__init__(context)
    self.results: dict = {}
    self._best_step = max(multihost.on_primary(context.best_checkpointer.checkpoints.steps), default=0)
    self._miou: dict[int, float] = {}

  def on_start(self, step: int, state: TrainState) -> None:
    """Evaluates at the last step, for the summary, and repeats evaluations that a kill cut short.

    The log line of such an evaluation is missing, or its best checkpoint.
    """
    self._miou = dict(multihost.on_primary(lambda: _read_evaluations(self._context.workdir, step)))
    logged = step in self._miou
    is_best = logged and self._miou[step] == max(self._miou.values())
    repeat = not logged or (is_best and self._best_step != step)
    if self._context.is_evaluation_due(step) and (repeat or step == self._context.config.steps):
      self._evaluate(step, state)

  def after_step(self, step: int, state: TrainState) -> TrainState:
    """An evaluation that is due when the run stops is left to the next start, but for the last one."""
    stopping = self._context.control.should_stop and step < self._context.config.steps
    if self._context.is_evaluation_due(step) and not stopping:
      self._evaluate(step, state)
    return state

  def on_end(self) -> None:
    multihost.on_primary(self._context.best_checkpointer.wait)

  def _evaluate(self, step: int, state: TrainState) -> None:
    context = self._context
    setup = context.setup
    variables = setup.parallel.local(model_variables(state))
    confusion = evaluate(setup.experiment, variables, setup.validation, context.config, setup.predictor)
    self.results = summarize_confusion(confusion, setup.experiment.table)
    self._log(step, self.results)
    if self.results["miou"] >= self._miou.get(self._best_step, -1.0):
      multihost.on_primary(context.best_checkpointer.save, step, state, context.seconds)
      self._best_step = step
    context.control.stop_if_requested()  # the checkpoint of this step was saved before

  def _log(self, step: int, results: dict) -> None:
    """Writes the scores once a step, however often a killed run repeats the evaluation."""
    if self._context.writer and step not in self._miou:
      scores = {f"eval/{name}": value for name, value in results.items() if isinstance(value, float)}
      self._context.writer.write(step, scores)
    self._miou[step] = results["miou"]
    _LOG.info("step %d  mIoU %.4f", step, results["miou"])


HOOKS = (DivergenceHandler, CheckpointHook, EvaluationHook)
"""In this order: no state is saved before the guard has accepted it, and no state is evaluated before it is
saved, so that a kill during an evaluation loses no training."""


def _read_evaluations(workdir, step: int) -> list[tuple[int, float]]:
  """(step, mIoU) of the evaluations up to `step`, from the log."""
  lines = [line for line in read_metrics(workdir) if "eval/miou" in line and line["step"] <= step]
  return [(line["step"], line["eval/miou"]) for line in lines]

"""The context of the hooks: the objects they share, and when a checkpoint or an evaluation is due."""

from __future__ import annotations

import dataclasses
import pathlib
import time
from typing import Any

from train.checkpointing.async_checkpointer import AsyncCheckpointer
from train.distributed import multihost
from train.loop.control import StepControl
from train.loop.metric_writer import MetricWriter
from train.loop.metrics import Metrics
from train.loop.rollback import RollbackLog
from train.loop.setup import TrainSetup


@dataclasses.dataclass(frozen=True)
class LoopContext:
  """Everything that a hook may use.

  Attributes:
    config: of the run.
    workdir: of the run.
    setup: the backend, the network, the data and the compiled programs.
    rollbacks: of the run so far.
    control: the control flags that all processes agreed on.
    metrics: of the steps.
    writer: of the log; None except in the primary process.
    checkpointer, best_checkpointer: of the latest states, and of the state with the best evaluation.
    seconds_before: of training by earlier starts of the run.
    started: `time.monotonic()` of this start.
  """

  config: Any
  workdir: pathlib.Path
  setup: TrainSetup
  rollbacks: RollbackLog
  control: StepControl
  metrics: Metrics
  writer: MetricWriter | None
  checkpointer: AsyncCheckpointer
  best_checkpointer: AsyncCheckpointer
  seconds_before: float
  started: float

  @property
  def seconds(self) -> float:
    """Seconds of training so far, over all starts of the run."""
    return self.seconds_before + time.monotonic() - self.started

  def is_evaluation_due(self, step: int) -> bool:
    """Whether the state after `step` steps is evaluated: every `eval.every` steps and at the end."""
    every = self.config.eval.every
    return step == self.config.steps or bool(step and every and step % every == 0)

  def is_checkpoint_due(self, step: int) -> bool:
    """Whether that state is saved: before an evaluation, every `checkpoint.every` steps, or by a flag."""
    control, every = self.control, self.config.checkpoint.every
    by_flag = control.should_stop or control.should_save or control.log_failed
    return by_flag or self.is_evaluation_due(step) or bool(every and step % every == 0)

  def raise_log_error(self) -> None:
    """Raises, in all processes, the error of a log that could not be written."""
    multihost.on_primary(lambda: self.writer and self.writer.raise_pending_error())

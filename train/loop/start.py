"""Starts a run: restores its state from the newest good checkpoint, or initializes it."""

from __future__ import annotations

import contextlib
import logging
import pathlib
import time
from typing import NamedTuple

from train.checkpointing import workdir as workdirs
from train.checkpointing.checkpoint import Checkpoints, restore_first
from train.checkpointing.digests import params_sha256
from train.distributed import multihost
from train.experiment.run import checkpoint_dirs, create_train_state
from train.loop.metric_writer import set_log_aside
from train.loop.rollback import RollbackLog
from train.loop.setup import TrainSetup
from train.step.step import TrainState

_LOG = logging.getLogger("train")


class RunStart(NamedTuple):
  """What a run starts from.

  Attributes:
    step: steps done by earlier starts.
    state: after them, on the host.
    changes: of the config since the start before, as sentences.
    rollbacks: of the run so far.
    checkpoints, best: the latest states, and the state with the best evaluation.
    seconds: of training by earlier starts.
    started: `time.monotonic()` of this start.
  """

  step: int
  state: TrainState
  changes: list[str]
  rollbacks: RollbackLog
  checkpoints: Checkpoints
  best: Checkpoints
  seconds: float
  started: float


def start_run(config, setup: TrainSetup, workdir: pathlib.Path, change: bool) -> RunStart:
  """Restores or initializes the state.

  Deletes undone checkpoints, and sets damaged ones and a log without checkpoints aside.

  Raises:
    ValueError: the processes differ in their parameters or data; the workdir belongs to another config or
      has more steps; a checkpoint is of another model.
    OSError: the workdir cannot be written.
  """
  started = time.monotonic()
  state, _, _ = create_train_state(setup.experiment, config)
  initial = {"initial parameters": params_sha256(state.params), "training images": str(len(setup.training))}
  multihost.assert_same(initial)
  changes = multihost.on_primary(workdirs.find_changes, workdir, config, change)
  checkpoints, best = checkpoint_dirs(workdir, config)
  with contextlib.ExitStack() as on_error:
    for folder in (checkpoints, best):
      on_error.callback(folder.close)
    rollbacks = RollbackLog(workdir)
    rollbacks.delete_undone([checkpoints, best])
    state, seconds = _restore(workdir, [checkpoints, best], state, rollbacks)
    if (step := int(state.step)) > config.steps:
      raise ValueError(f"steps: expected at least the {step} that {workdir} has, got {config.steps}")
    on_error.pop_all()
  return RunStart(step, state, changes, rollbacks, checkpoints, best, seconds, started)


def _restore(
  workdir: pathlib.Path, folders: list[Checkpoints], state: TrainState, rollbacks: RollbackLog
) -> tuple[TrainState, float]:
  """(state, seconds of training so far) of the newest good checkpoint, or as they are at step 0.

  Args:
    folders: the latest checkpoints and, where none of them is good, that of the best evaluation.
    state: at step 0.
  """
  restored = multihost.broadcast(lambda: restore_first(folders, state, set_aside=True), like=(state, 0.0))
  if restored:
    _LOG.info("resuming from step %d", int(restored[0].step))
  elif not len(rollbacks):
    multihost.on_primary(set_log_aside, workdir)
  return restored or (state, 0.0)

"""The training loop."""

from __future__ import annotations

import contextlib
import logging
import pathlib
from collections.abc import Iterator

from train.checkpointing import workdir as workdirs
from train.checkpointing.async_checkpointer import AsyncCheckpointer
from train.checkpointing.disk import explain_write_errors
from train.checkpointing.lock import lock_workdir
from train.distributed import multihost
from train.experiment.pooling_config import resolve_pooling
from train.loop.context import LoopContext
from train.loop.control import StepControl
from train.loop.hooks import HOOKS, EvaluationHook
from train.loop.metric_writer import MetricWriter
from train.loop.metrics import Metrics
from train.loop.preemption import PreemptionHandler
from train.loop.rollback import RolledBack
from train.loop.setup import TrainSetup, build_setup, check_processes, make_loader, validate_ranges
from train.loop.start import RunStart, start_run
from train.loop.summary import write_summary

_LOG = logging.getLogger("train")


def train(config, workdir: pathlib.Path, change: bool = False) -> dict | None:
  """Trains what `config` describes, from the newest good checkpoint in the workdir.

  Args:
    config: as the files of `configs/` return it; the workdir keeps a copy.
    workdir: directory of the run: config.json, weights.json, checkpoints/, best/, metrics.jsonl,
      tensorboard/ and, at the end, summary.json.
    change: whether `config` may differ from the workdir's in fields other than
      `train.checkpointing.workdir.RUNTIME_FIELDS`.

  Returns:
    The contents of summary.json, or None if the run was interrupted (and saved).

  Raises:
    TrainingDiverged: the loss, the gradient or the update is not finite, or a spike, and `config.guard`
      says to stop; the last good checkpoint is kept.
    ValueError, OSError: bad config, data or workdir; the message names what is wrong.
  """
  config = resolve_pooling(config)
  validate_ranges(config)
  check_processes(config)
  setup = build_setup(config)
  preemption = PreemptionHandler()
  with explain_write_errors(workdir), contextlib.ExitStack() as stack:
    multihost.all_or_raise(lambda: stack.enter_context(_lock_in_primary(workdir)))
    while True:
      try:
        return _train(config, setup, workdir, change, preemption)
      except RolledBack as event:
        _LOG.warning("ROLLBACK: %s", event)


def _train(
  config, setup: TrainSetup, workdir: pathlib.Path, change: bool, preemption: PreemptionHandler
) -> dict | None:
  """As `train`, up to the next rollback."""
  run = start_run(config, setup, workdir, change)
  parallel, step, state = setup.parallel, run.step, setup.parallel.place_state(run.state)
  batches = run.rollbacks.batches(make_loader(config, setup), step, config.steps)
  # After everything that the config names was built: a refused config must not replace config.json.
  multihost.on_primary(
    workdirs.write_run_metadata, workdir, config, setup.experiment.weights, step, run.changes
  )

  # `preemption` is left after the context: a signal must not end the process while checkpoints are written.
  with (
    contextlib.closing(batches),
    preemption,
    _open_context(config, setup, workdir, run, preemption) as context,
  ):
    metrics, control = context.metrics, context.control
    hooks = [hook(context) for hook in HOOKS]
    for hook in hooks:
      hook.on_start(step, state)
    while step < config.steps and not control.should_stop:
      batch = metrics.next_batch(batches)
      flags = control.flags(len(parallel.devices))
      placed = parallel.place_batch(batch), parallel.place_batch(flags)
      state, values, flag_sums = setup.train_step(state, *placed)
      step += 1
      metrics.push(step, values, flag_sums, batch)
      for hook in hooks:
        state = hook.after_step(step, state)
    for hook in hooks:
      hook.on_end()
    context.raise_log_error()

  if step < config.steps:
    _LOG.info("interrupted: saved at step %d; the same command resumes there", step)
    return None
  (evaluations,) = (hook for hook in hooks if isinstance(hook, EvaluationHook))
  return write_summary(context, step, state, evaluations.results)


def _lock_in_primary(workdir: pathlib.Path) -> contextlib.AbstractContextManager:
  return lock_workdir(workdir) if multihost.is_primary() else contextlib.nullcontext()


@contextlib.contextmanager
def _open_context(
  config, setup: TrainSetup, workdir: pathlib.Path, run: RunStart, preemption: PreemptionHandler
) -> Iterator[LoopContext]:
  """Opens the log and the checkpoint writers; leaving it waits for the last checkpoints and closes them."""
  with contextlib.ExitStack() as stack:
    for checkpoints in (run.checkpoints, run.best):
      stack.callback(checkpoints.close)
    writer = multihost.all_or_raise(
      lambda: stack.enter_context(MetricWriter(workdir, run.step)) if multihost.is_primary() else None
    )
    yield LoopContext(
      config=config,
      workdir=workdir,
      setup=setup,
      rollbacks=run.rollbacks,
      control=StepControl(
        preemption, config.checkpoint.seconds, lambda: writer is not None and writer.error is not None
      ),
      metrics=stack.enter_context(Metrics(writer, workdir, config, run.step)),
      writer=writer,
      checkpointer=stack.enter_context(AsyncCheckpointer(run.checkpoints)),
      best_checkpointer=stack.enter_context(AsyncCheckpointer(run.best)),
      seconds_before=run.seconds,
      started=run.started,
    )

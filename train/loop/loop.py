"""The training loop."""

from __future__ import annotations

import contextlib
import functools
import logging
import pathlib
import time

import jax

from train.checkpointing import disk, workdir as workdirs
from train.checkpointing.async_checkpointer import Saver
from train.checkpointing.checkpoint import params_sha256
from train.data.loader import training_batches
from train.data.transforms.compose import train_transform
from train.distributed import multihost
from train.evaluation.evaluate import evaluate
from train.evaluation.evaluator import summarize_confusion
from train.evaluation.predictor import Predictor
from train.evaluation.result_table import print_results
from train.experiment.pooling_config import resolve_pooling
from train.experiment.run import build_train_step, checkpoint_dirs, create_train_state, model_variables
from train.loop.control import Wishes
from train.loop.divergence import Alarm
from train.loop.metric_writer import read_metrics
from train.loop.metrics import Recorder
from train.loop.preemption import Interruption
from train.loop.rollback import Rollbacks, RolledBack
from train.loop.setup import Described, check_configs, check_inputs, check_numbers, describe, restored
from train.step.saturation import saturated_units
from train.utils.json_files import write_json

_LOG = logging.getLogger("train")


def train(config, workdir: pathlib.Path, change: bool = False) -> dict | None:
  """Trains what `config` describes, from where the workdir's newest good checkpoint is.

  Args:
    config: as `configs/` make them; a copy is kept in the workdir.
    workdir: folder of the run: config.json, weights.json, checkpoints/, best/, metrics.jsonl,
      tensorboard/ and, at the end, summary.json.
    change: whether `config` may differ from what the workdir was begun with in more than
      `train.checkpointing.workdir.HOW`.

  Returns:
    The contents of summary.json, or None if the run was interrupted (and saved).

  Raises:
    TrainingDiverged: loss or gradient is NaN or infinite, or a spike, and `config.guard` says to stop;
      the last good checkpoint is kept.
    ValueError, OSError: bad config, data or workdir; what is wrong is named.
  """
  config = resolve_pooling(config)
  check_numbers(config)
  check_configs(config)
  described = describe(config)
  interruption = Interruption()
  with disk.explained(workdir), contextlib.ExitStack() as stack:
    multihost.together(lambda: multihost.first() and stack.enter_context(workdirs.locked(workdir)))
    while True:
      try:
        return _train(config, described, workdir, change, interruption)
      except RolledBack as event:
        _LOG.warning("ROLLBACK: %s", event)


def _train(
  config, described: Described, workdir: pathlib.Path, change: bool, interruption: Interruption
) -> dict | None:
  """As `train`, up to the next rollback."""
  started = time.monotonic()
  parallel, experiment, training, validation = described

  # 1. The state: the newest good checkpoint, or pre-trained and random parameters.
  state, tx, schedule = create_train_state(experiment, config)
  check_inputs(state, training)
  changed = multihost.on_first(workdirs.changes, workdir, config, change)
  checkpoints, best = folders = checkpoint_dirs(workdir, config)
  rollbacks = Rollbacks(workdir)
  rollbacks.finish(folders)
  state, earlier = restored(workdir, folders, state, rollbacks)
  if (step := int(state.step)) > config.steps:
    raise ValueError(f"steps: expected at least the {step} that {workdir} has, got {config.steps}")
  state = parallel.place_state(state)

  # 2. The step and the batches: both are functions of (seed, step), so the step places them.
  train_step = parallel.compile_step(build_train_step(experiment, config, tx, schedule, parallel))
  load = functools.partial(
    training_batches,
    training,
    train_transform(config.data, experiment.preprocess.mean_rgb),
    batch_size=config.batch_size,
    seed=config.seed,
    workers=config.data.workers,
    threads=config.data.threads,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
    on_corrupt=config.data.on_corrupt,
  )
  batches = rollbacks.stream(load, step, config.steps)
  alarm = Alarm(workdir, config, experiment, tx, parallel, rollbacks)
  predictor = Predictor(experiment, config)
  multihost.on_first(workdirs.claim, workdir, config, experiment.weights, step, changed)

  # 3. The loop. A resumed run begins with the evaluation that a kill may have prevented.
  results = None
  with (
    Recorder(workdir, config, step) as recorder,
    interruption,
    Saver(checkpoints) as saver,
    Saver(best) as best_saver,
  ):
    wishes = Wishes(interruption, config.checkpoint.seconds, recorder.failed)
    kept = max(multihost.on_first(best.steps), default=0)
    while True:
      lost = recorder.is_best(step) and kept != step
      due = evaluation_due(config, step) and (lost or not recorder.evaluated(step))
      if step == config.steps or (due and "stop" not in recorder.granted):
        variables = parallel.local(model_variables(state))
        confusion = evaluate(experiment, variables, validation, config, predictor)
        results = summarize_confusion(confusion, experiment.table)
        recorder.evaluation(step, results)
        if results["miou"] >= recorder.miou(kept):
          multihost.on_first(best_saver.save, step, state, earlier + time.monotonic() - started)
          kept = step
        if any(multihost.gather(interruption.wanted)):
          recorder.granted.add("stop")  # the checkpoint of this step was written before
      if step == config.steps or "stop" in recorder.granted:
        break
      batch = recorder.waiting(batches)
      batch["wishes"] = wishes.of(len(batch["label"]))
      state, metrics = train_step(state, parallel.place_batch(batch))
      step += 1
      if held := recorder.training(step, metrics, batch):
        state = alarm(held, state, recorder.totals["skipped"])
      if checkpoint_due(config, step) or recorder.granted:
        if held := recorder.flush():
          state = alarm(held, state, recorder.totals["skipped"])
        multihost.on_first(saver.save, step, state, earlier + time.monotonic() - started)
        if "fail" in recorder.granted:
          recorder.complain()
        recorder.granted.discard("save")
        wishes.saved()
    multihost.on_first(saver.wait)
    multihost.on_first(best_saver.wait)
    recorder.complain()
  for folder in folders:
    folder.close()
  if step < config.steps:
    _LOG.info("interrupted: saved at step %d; the same command goes on from there", step)
    return None

  summary = {
    "step": step,
    **results,
    "params_sha256": params_sha256(state.params),
    "seconds": earlier + time.monotonic() - started,
    **recorder.totals,
    "rollbacks": len(rollbacks),
    "config": config.to_dict(),
  }
  multihost.on_first(write_json, workdir / "summary.json", summary)
  if multihost.first():
    print_results({"split": config.data.eval_split, **summary})
    for sentence in saturated_units(read_metrics(workdir), state.params, config.alpha.get("name", "")):
      _LOG.warning("%s", sentence)
  return summary


def evaluation_due(config, step: int) -> bool:
  return step == config.steps or bool(step and config.eval.every and step % config.eval.every == 0)


def checkpoint_due(config, step: int) -> bool:
  """At the end, before an evaluation, and every so many steps; by time it is a wish."""
  every = config.checkpoint.every
  return evaluation_due(config, step) or bool(every and step % every == 0)

"""The training loop."""

from __future__ import annotations

import functools
import logging
import pathlib
import time

import jax

from train import hosts, storage
from train.alarm import Alarm
from train.checkpoint import Checkpoints, params_sha256
from train.data.loader import training_batches
from train.data.transforms import augmentation
from train.evaluate import evaluate, print_table, summarise
from train.experiment import make_experiment, open_split, write_json
from train.interruption import Interruption
from train.parallel import backend
from train.predictor import keep_compiled
from train.recorder import Recorder
from train.rollbacks import Rollbacks, RolledBack
from train.run import claim, code_sha256, flat, initial_state, step_of, variables_of
from train.saver import Saver
from train.wishes import Wishes

_LOG = logging.getLogger("train")


def train(config, workdir: pathlib.Path) -> dict | None:
  """Trains what `config` describes, from where the workdir's newest good checkpoint is.

  Args:
    config: as `configs/` make them; a copy is kept in the workdir.
    workdir: folder of the run: config.json, weights.json, checkpoints/, best/, metrics.jsonl,
      tensorboard/ and, at the end, summary.json.

  Returns:
    The contents of summary.json, or None if the run was interrupted (and saved).

  Raises:
    TrainingDiverged: loss or gradient is NaN or infinite, or a spike, and `config.guard` says to stop;
      the last good checkpoint is kept.
    ValueError, OSError: bad config, data or workdir; what is wrong is named.
  """
  interruption = Interruption()
  with storage.explained(workdir):
    while True:
      try:
        return _train(config, workdir, interruption)
      except RolledBack as event:
        _LOG.warning("ROLLBACK: %s", event)


def _train(config, workdir: pathlib.Path, interruption: Interruption) -> dict | None:
  """As `train`, up to the next rollback."""
  started = time.monotonic()
  keep_compiled(config.compilation_cache)
  parallel = backend(config.parallel, config.batch, config.accumulate)
  experiment = make_experiment(config)
  training, validation = open_split(config, config.data.split), open_split(config, config.data.eval_split)

  # 1. The state: the newest good checkpoint, or pre-trained and random parameters.
  state, tx, schedule = initial_state(experiment, config)
  check_hosts(config, state, training)
  hosts.on_first(claim, workdir, config, experiment)
  checkpoints = Checkpoints(workdir / "checkpoints", config.checkpoint.keep)
  best = Checkpoints(workdir / "best", keep=1)
  rollbacks = Rollbacks(workdir)
  rollbacks.finish([checkpoints, best])
  earlier = 0.0
  if restored := hosts.share(lambda: checkpoints.restore(state, set_aside=True), like=(state, earlier)):
    state, earlier = restored
    _LOG.info("going on from step %d", int(state.step))
  step = int(state.step)
  state = parallel.place_state(state)

  # 2. The step and the batches: both are functions of (seed, step), so the step places them.
  train_step = parallel.compile_step(step_of(experiment, config, tx, schedule, parallel))
  load = functools.partial(
    training_batches,
    training,
    augmentation(config.data, experiment.preprocess.mean_rgb),
    batch=config.batch,
    seed=config.seed,
    workers=config.data.workers,
    threads=config.data.threads,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
    on_corrupt=config.data.on_corrupt,
  )
  batches = rollbacks.stream(load, step, config.steps)
  alarm = Alarm(workdir, config, experiment, tx, parallel, rollbacks)

  # 3. The loop. A resumed run begins with the evaluation that a kill may have prevented.
  results = None
  with (
    Recorder(workdir, config, step) as recorder,
    interruption,
    Saver(checkpoints) as saver,
    Saver(best) as best_saver,
  ):
    wishes = Wishes(interruption, config.checkpoint.seconds)
    while True:
      if evaluation_due(config, step) and (step == config.steps or not recorder.evaluated(step)):
        variables = parallel.local(variables_of(state))
        results = summarise(evaluate(experiment, variables, validation, config), experiment.table)
        recorder.evaluation(step, results)
        if results["miou"] >= recorder.best_miou:
          hosts.on_first(best_saver.save, step, state, earlier + time.monotonic() - started)
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
        hosts.on_first(saver.save, step, state, earlier + time.monotonic() - started)
        recorder.granted.discard("save")
        wishes.saved()
    hosts.on_first(saver.wait)
    hosts.on_first(best_saver.wait)
  checkpoints.close()
  best.close()
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
  hosts.on_first(write_json, workdir / "summary.json", summary)
  if hosts.first():
    print_table({"split": config.data.eval_split, **summary})
  return summary


def evaluation_due(config, step: int) -> bool:
  return step == config.steps or bool(step and config.eval.every and step % config.eval.every == 0)


def checkpoint_due(config, step: int) -> bool:
  """At the end, before an evaluation, and every so many steps; by time it is a wish."""
  every = config.checkpoint.every
  return evaluation_due(config, step) or bool(every and step % every == 0)


def check_hosts(config, state, training) -> None:
  """Refuses processes that differ in what a training is a function of.

  Raises:
    ValueError: names what differs, and where.
  """
  facts = {f"config.{name}": repr(value) for name, value in flat(config.to_dict()).items()}
  facts |= {"code": code_sha256(), "jax": jax.__version__, "initial parameters": params_sha256(state.params)}
  hosts.check_same({**facts, "training images": str(len(training))})

"""Creates the training state and step of an experiment, and restores a run from its workdir."""

from __future__ import annotations

import contextlib
import pathlib
from typing import Any, NamedTuple

import jax
import ml_collections
import optax

from ppool_jax import weights
from train.checkpointing.checkpoint import Checkpoints, restore_first
from train.checkpointing.workdir import read_config
from train.experiment.experiment import Experiment, init_variables, make_experiment
from train.step.optimizer import make_optimizer, make_schedule
from train.step.step import TrainState, make_step
from train.step.update_guard import make_guard
from train.utils.json_files import read_json


class Run(NamedTuple):
  """A run restored from a checkpoint.

  Attributes:
    config: the config that was trained.
    experiment: the experiment that the config describes.
    step: step of the checkpoint.
    variables: {"params", "batch_stats"} of the checkpoint.
  """

  config: ml_collections.ConfigDict
  experiment: Experiment
  step: int
  variables: Any


def open_run(workdir: pathlib.Path, step: int | None = None) -> Run:
  """Restores the run in `workdir`.

  Args:
    workdir: the workdir of `python -m train`.
    step: step of the checkpoint to restore; None: the newest checkpoint that is not damaged.

  Raises:
    FileNotFoundError: there is no run or no checkpoint.
    ValueError: the checkpoint of `step` is missing or damaged.
  """
  workdir = pathlib.Path(workdir)
  if not (workdir / "config.json").is_file():
    raise FileNotFoundError(f"{workdir}: no run there: expected the config.json that python -m train leaves")
  config = ml_collections.ConfigDict(read_config(workdir))
  stored = read_json(workdir / "weights.json")
  preprocess = weights.Preprocess.from_dict(stored["preprocess"])
  experiment = make_experiment(config, weights.Pretrained({}, preprocess, stored["options"]))
  template = jax.eval_shape(lambda: create_train_state(experiment, config)[0])
  with contextlib.ExitStack() as stack:
    directories = checkpoint_dirs(workdir, config)
    for directory in directories:
      stack.callback(directory.close)
    restored = restore_first(directories, template, step)
  if restored is None:
    raise FileNotFoundError(f"{workdir}: no checkpoint there yet")
  state: TrainState = restored[0]
  return Run(config, experiment, int(state.step), model_variables(state))


def checkpoint_dirs(workdir: pathlib.Path, config) -> list[Checkpoints]:
  """The checkpoint directories of a run: the last checkpoints, and the one with the best evaluation."""
  return [
    Checkpoints(workdir / "checkpoints", config.checkpoint.max_to_keep),
    Checkpoints(workdir / "best", max_to_keep=1),
  ]


def create_train_state(experiment: Experiment, config) -> tuple:
  """Creates (the state at step 0, the optimizer, the learning rate schedule)."""
  variables = init_variables(experiment, config.seed)
  params = variables["params"]
  tx, schedule = build_optimizer(config, params)
  step = jax.numpy.zeros((), int)
  guard = make_guard(config.guard).initial_state()
  return TrainState(step, params, variables["batch_stats"], tx.init(params), guard), tx, schedule


def build_optimizer(config, params) -> tuple[optax.GradientTransformation, optax.Schedule]:
  """Builds the optimizer and the learning rate schedule of `config`; `params` may be shapes."""
  schedule = make_schedule(config.schedule, config.steps)
  return make_optimizer(config.optimizer, schedule, params), schedule


def build_train_step(experiment: Experiment, config, tx, schedule, parallel):
  """Builds the training step that `config` describes, for `parallel.compile_step`.

  Args:
    tx, schedule: the optimizer and the schedule from `build_optimizer`.
  """
  return make_step(
    experiment.model,
    experiment.preprocess,
    tx,
    schedule,
    parallel,
    normalize=config.loss.normalize,
    seed=config.seed,
    grad_accum_steps=config.grad_accum_steps,
    guard=make_guard(config.guard),
  )


def model_variables(state: TrainState) -> dict:
  """The variables {"params", "batch_stats"} that the model is applied with."""
  return {"params": state.params, "batch_stats": state.batch_stats}

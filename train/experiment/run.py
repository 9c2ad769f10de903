"""What a run is made of, and reading one back from its workdir."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

import jax
import ml_collections

from ppool_jax import weights
from train.checkpointing.checkpoint import Checkpoints, restore_first
from train.checkpointing.workdir import read_config
from train.experiment.experiment import Experiment, initial_variables, make_experiment
from train.step.optimizer import make_optimizer, make_schedule
from train.step.step import TrainState, make_step
from train.step.update_guard import make_guard
from train.utils.json_files import read_json


class Run(NamedTuple):
  """A run that was read back: its config, what the config describes, and a checkpoint's variables."""

  config: ml_collections.ConfigDict
  experiment: Experiment
  step: int
  variables: Any


def open_run(workdir: pathlib.Path, step: int | None = None) -> Run:
  """The run in `workdir` at its newest good checkpoint, or at that of `step`.

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
  template = jax.eval_shape(lambda: initial_state(experiment, config)[0])
  folders = folders_of(workdir, config)
  restored = restore_first(folders, template, step)
  for folder in folders:
    folder.close()
  if restored is None:
    raise FileNotFoundError(f"{workdir}: no checkpoint there yet")
  state = restored[0]
  return Run(config, experiment, int(state.step), variables_of(state))


def folders_of(workdir: pathlib.Path, config) -> list[Checkpoints]:
  """A run's last checkpoints, and that of its best evaluation."""
  return [
    Checkpoints(workdir / "checkpoints", config.checkpoint.max_to_keep),
    Checkpoints(workdir / "best", keep=1),
  ]


def initial_state(experiment: Experiment, config) -> tuple:
  """(state at step 0, optimiser, schedule)."""
  variables = initial_variables(experiment, config.seed)
  params = variables["params"]
  schedule = make_schedule(config.schedule, config.steps)
  tx = make_optimizer(config.optimizer, schedule, params)
  step = jax.numpy.zeros((), int)
  guard = make_guard(config.guard).initial()
  return TrainState(step, params, variables["batch_stats"], tx.init(params), guard), tx, schedule


def step_of(experiment: Experiment, config, tx, schedule, parallel):
  """The step that `config` describes, for `parallel.compile_step`; `tx, schedule` of `initial_state`."""
  return make_step(
    experiment.model,
    experiment.preprocess,
    tx,
    schedule,
    parallel,
    normalise=config.loss.normalize,
    seed=config.seed,
    grad_accum_steps=config.grad_accum_steps,
    guard=make_guard(config.guard),
  )


def variables_of(state: TrainState) -> dict:
  """What the model is applied with."""
  return {"params": state.params, "batch_stats": state.batch_stats}

"""A workdir: the files of a run, and reading a run back."""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any, NamedTuple

import jax
import ml_collections

from ppool_jax import weights
from train.checkpoint import Checkpoints
from train.experiment import Experiment, initial_variables, make_experiment, write_json
from train.guard import make_guard
from train.optimizer import make_optimizer, make_schedule
from train.step import TrainState, make_step


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
  config = ml_collections.ConfigDict(json.loads((workdir / "config.json").read_text()))
  stored = json.loads((workdir / "weights.json").read_text())
  preprocess = weights.Preprocess.from_dict(stored["preprocess"])
  experiment = make_experiment(config, weights.Pretrained({}, preprocess, stored["options"]))
  template = jax.eval_shape(lambda: initial_state(experiment, config)[0])
  checkpoints = Checkpoints(workdir / "checkpoints", config.checkpoint.keep)
  restored = checkpoints.restore(template, step)
  checkpoints.close()
  if restored is None:
    raise FileNotFoundError(f"{workdir}: no checkpoint there yet")
  state = restored[0]
  return Run(config, experiment, int(state.step), variables_of(state))


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
    normalise=config.loss.normalise,
    seed=config.seed,
    accumulate=config.accumulate,
    guard=make_guard(config.guard),
  )


def variables_of(state: TrainState) -> dict:
  """What the model is applied with."""
  return {"params": state.params, "batch_stats": state.batch_stats}


def claim(workdir: pathlib.Path, config, experiment: Experiment) -> None:
  """Writes config.json and weights.json, or checks that `workdir` is of the same config.

  Raises:
    ValueError: the workdir belongs to another config; the fields that differ are named.
    OSError: it cannot be written.
  """
  try:
    workdir.mkdir(parents=True, exist_ok=True)
    wanted = json.loads(json.dumps(config.to_dict()))
    path = workdir / "config.json"
    if path.is_file():
      _check_same(workdir, json.loads(path.read_text()), wanted)
      return
    _, preprocess, options = experiment.weights
    write_json(workdir / "weights.json", {"preprocess": preprocess.as_dict(), "options": dict(options)})
    write_json(path, wanted)
  except OSError as error:
    raise OSError(f"workdir {workdir} cannot be written: {error}") from error


def _check_same(workdir: pathlib.Path, old: dict, new: dict) -> None:
  old, new = flat(old), flat(new)
  differ = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
  if differ:
    changes = "; ".join(f"{key} was {old.get(key)!r}, now {new.get(key)!r}" for key in differ)
    raise ValueError(f"{workdir} belongs to another config ({changes}): choose another --workdir")


def flat(tree: dict, prefix: str = "") -> dict:
  """The fields of a config by their full names, "schedule.rate"."""
  fields = {}
  for key, value in tree.items():
    fields.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
  return fields


def code_sha256() -> str:
  """SHA-256 over this project's modules: what a training runs, committed or not."""
  root = pathlib.Path(__file__).parents[1]
  sha = hashlib.sha256()
  for path in sorted(path for part in ("ppool_jax", "train") for path in (root / part).rglob("*.py")):
    sha.update(str(path.relative_to(root)).encode() + path.read_bytes())
  return sha.hexdigest()

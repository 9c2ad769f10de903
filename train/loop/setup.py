"""Validates a config and builds its backend, network and data, once for a run."""

from __future__ import annotations

import functools
import hashlib
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from train.checkpointing import workdir as workdirs
from train.data.loader import training_batches
from train.data.transforms.compose import train_transform
from train.distributed import multihost
from train.evaluation.predictor import Predictor, enable_compilation_cache
from train.experiment.experiment import Experiment, make_experiment, open_split
from train.experiment.run import build_optimizer, build_train_step, create_train_state
from train.loop.control import with_flags
from train.loop.non_finite_locator import NonFiniteLocator
from train.step.parallel import Jit, Pmap, backend

_MINIMUM = {
  "steps": 1, "log.every": 1, "checkpoint.max_to_keep": 1, "checkpoint.every": 0, "checkpoint.seconds": 0,
  "eval.every": 0, "data.workers": 0, "data.threads": 1,
}  # fmt: skip
_PAIRS = ("data.crop", "data.scale", "eval.window", "eval.stride")


class TrainSetup(NamedTuple):
  """The backend, the network, the data and the compiled programs of a config; they survive rollbacks.

  Attributes:
    parallel: the backend.
    experiment: the network, its weights and the classes.
    training, validation: random access to both splits.
    train_step: `(state, batch, flags) -> (state, metrics, flag sums)`.
    locator: of the first non-finite value of a rejected step.
    predictor: of the evaluations.
  """

  parallel: Pmap | Jit
  experiment: Experiment
  training: Any
  validation: Any
  train_step: Callable
  locator: NonFiniteLocator
  predictor: Predictor


def build_setup(config) -> TrainSetup:
  """Builds it in all processes, or raises in all of them the error of the one where it fails.

  Raises:
    ValueError, OSError: bad config, data or weights; the message names what is wrong.
  """
  enable_compilation_cache(config.compilation_cache)

  def build() -> TrainSetup:
    parallel = backend(config.parallel, config.batch_size, config.grad_accum_steps)
    experiment = make_experiment(config)
    training, validation = open_split(config, config.data.split), open_split(config, config.data.eval_split)
    state = jax.eval_shape(lambda: create_train_state(experiment, config)[0])
    tx, schedule = build_optimizer(config, state.params)
    train_step = build_train_step(experiment, config, tx, schedule, parallel)
    return TrainSetup(
      parallel,
      experiment,
      training,
      validation,
      parallel.compile_step(with_flags(train_step, parallel), inputs=2),
      NonFiniteLocator(experiment.model, experiment.preprocess, tx, parallel, config.seed),
      Predictor(experiment, config),
    )

  return multihost.all_or_raise(build)


def make_loader(config, setup: TrainSetup) -> Callable:
  """`load(start=, stop=)`: the training batches with these indices, a function of the seed and the index."""
  return functools.partial(
    training_batches,
    setup.training,
    train_transform(config.data, setup.experiment.preprocess.mean_rgb),
    batch_size=config.batch_size,
    seed=config.seed,
    workers=config.data.workers,
    threads=config.data.threads,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
    on_corrupt=config.data.on_corrupt,
  )


def validate_ranges(config) -> None:
  """Refuses numbers that are out of range and pairs that are not two numbers.

  Raises:
    ValueError: names the field.
  """
  for name in _PAIRS:
    if len(value := _field(config, name)) != 2:
      raise ValueError(f"{name}: expected two numbers, got {value}")
  for name, minimum in _MINIMUM.items():
    if (value := _field(config, name)) < minimum:
      raise ValueError(f"{name}: expected at least {minimum}, got {value}")


def check_processes(config) -> None:
  """Refuses processes that were started with different configs, code or devices, before anything is built.

  Raises:
    ValueError: names what differs, and where.
  """
  fields = workdirs.flatten(workdirs.to_json(config)).items()
  facts = {f"config.{name}": repr(value) for name, value in fields if name != "cluster"}
  devices = jax.local_device_count()
  facts |= {"code": code_sha256(), "jax": jax.__version__, "local devices": str(devices)}
  multihost.assert_same(facts)


def code_sha256() -> str:
  """SHA-256 over this project's modules: the code that a training runs, committed or not."""
  root = pathlib.Path(__file__).parents[2]
  sha = hashlib.sha256()
  for path in sorted(path for part in ("ppool_jax", "train") for path in (root / part).rglob("*.py")):
    sha.update(str(path.relative_to(root)).encode() + path.read_bytes())
  return sha.hexdigest()


def _field(config, name: str):
  for key in name.split("."):
    config = config[key]
  return config

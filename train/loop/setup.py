"""How a training starts: what its config describes, agreed by all processes, and the state to go on from."""

from __future__ import annotations

import hashlib
import logging
import pathlib
from typing import Any, NamedTuple

import jax

from train.checkpointing import workdir as workdirs
from train.checkpointing.checkpoint import Checkpoints, params_sha256, restore_first
from train.distributed import multihost
from train.evaluation.predictor import enable_compilation_cache
from train.experiment.experiment import Experiment, make_experiment, open_split
from train.loop.metric_writer import keep_log
from train.loop.rollback import Rollbacks
from train.step.parallel import Jit, Pmap, backend

_LOG = logging.getLogger("train")
_LEAST = {
  "steps": 1, "log.every": 1, "checkpoint.max_to_keep": 1, "checkpoint.every": 0, "checkpoint.seconds": 0,
  "eval.every": 0, "data.workers": 0, "data.threads": 1,
}  # fmt: skip


_SIZES = ("data.crop", "data.scale", "eval.window", "eval.stride")


class Described(NamedTuple):
  """What a config describes: the backend, the network, random access to both splits."""

  parallel: Pmap | Jit
  experiment: Experiment
  training: Any
  validation: Any


def describe(config) -> Described:
  """Builds it, in all processes or, with the error of the one where it fails, in none.

  Raises:
    ValueError, OSError: bad config, data or weights; what is wrong is named.
  """
  enable_compilation_cache(config.compilation_cache)

  def build() -> Described:
    parallel = backend(config.parallel, config.batch_size, config.grad_accum_steps)
    experiment = make_experiment(config)
    training, validation = open_split(config, config.data.split), open_split(config, config.data.eval_split)
    return Described(parallel, experiment, training, validation)

  return multihost.together(build)


def check_numbers(config) -> None:
  """Refuses numbers that no training can have.

  Raises:
    ValueError: names the field.
  """
  for name in _SIZES:
    if len(value := _at(config, name)) != 2:
      raise ValueError(f"{name}: expected two numbers, got {value}")
  for name, least in _LEAST.items():
    if (value := _at(config, name)) < least:
      raise ValueError(f"{name}: expected at least {least}, got {value}")


def check_configs(config) -> None:
  """Refuses processes that were not started alike, before anything is built or read.

  Raises:
    ValueError: names what differs, and where.
  """
  fields = workdirs.flat(workdirs.plain(config)).items()
  facts = {f"config.{name}": repr(value) for name, value in fields if name != "cluster"}
  devices = jax.local_device_count()
  facts |= {"code": code_sha256(), "jax": jax.__version__, "local devices": str(devices)}
  multihost.check_same(facts)


def check_inputs(state, training) -> None:
  """Refuses processes that would begin with other parameters or data.

  Raises:
    ValueError: names what differs, and where.
  """
  facts = {"initial parameters": params_sha256(state.params), "training images": str(len(training))}
  multihost.check_same(facts)


def restored(workdir: pathlib.Path, folders: list[Checkpoints], state, rollbacks: Rollbacks) -> tuple:
  """(state, seconds of training so far) of the newest good checkpoint, or as they are at step 0.

  Args:
    folders: the last checkpoints, and where none of them is good that of the best evaluation.
    state: at step 0.
  """
  found = multihost.share(lambda: restore_first(folders, state, set_aside=True), like=(state, 0.0))
  if found:
    _LOG.info("going on from step %d", int(found[0].step))
  elif not len(rollbacks):
    multihost.on_first(keep_log, workdir)
  return found or (state, 0.0)


def code_sha256() -> str:
  """SHA-256 over this project's modules: what a training runs, committed or not."""
  root = pathlib.Path(__file__).parents[2]
  sha = hashlib.sha256()
  for path in sorted(path for part in ("ppool_jax", "train") for path in (root / part).rglob("*.py")):
    sha.update(str(path.relative_to(root)).encode() + path.read_bytes())
  return sha.hexdigest()


def _at(config, name: str):
  for key in name.split("."):
    config = config[key]
  return config

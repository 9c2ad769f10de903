"""The train step of a config, compiled for slices and batches; what was compiled before is kept."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import pathlib
import time

import jax
import numpy as np

from train.experiment.experiment import make_experiment
from train.experiment.run import build_train_step, create_train_state
from train.loop.control import Wishes
from train.loop.preemption import Interruption
from train.planning.compiled import Collective, Measures, measures
from train.planning.machine import machine
from train.planning.topology import devices_of
from train.step.optimizer import make_optimizer, make_schedule
from train.step.parallel import Jit
from train.utils.json_files import check_output_file, read_json, write_json


def lowered_step(config, devices, batch: int) -> jax.stages.Lowered:
  """The step that `python -m train` runs, over `devices`, as `parallel="jit"` spreads it.

  No data and no device are needed: it is made from shapes.

  Args:
    config: of the training.
    devices: of this machine, or of `devices_of`.
    batch: over all devices, a multiple of their number.
  """
  parallel = Jit(devices)
  step, state = _step_and_state(config, parallel)
  height, width = config.data.crop
  shapes = {"image": (batch, height, width, 3), "label": (batch, height, width)}
  arrays = {name: jax.ShapeDtypeStruct(shape, np.uint8) for name, shape in shapes.items()}
  arrays["wishes"] = Wishes(Interruption(), 0.0).of(batch)
  return parallel.compile_step(step).lower(*parallel.shapes(state, arrays))


def _step_and_state(config, parallel: Jit):
  """The step, and the shapes of its state."""
  experiment = make_experiment(config)
  state = jax.eval_shape(lambda: create_train_state(experiment, config)[0])
  schedule = make_schedule(config.schedule, config.steps)
  tx = make_optimizer(config.optimizer, schedule, state.params)
  return build_train_step(experiment, config, tx, schedule, parallel), state


def check(config) -> None:
  """Refuses a config that `python -m train` or this backend would: in seconds, nothing is compiled.

  Raises:
    ValueError: batch_size or grad_accum_steps below 1, "local" batch norm, a name that there is not.
  """
  for name in ("batch_size", "grad_accum_steps"):
    if config[name] < 1:
      raise ValueError(f"{name}: expected at least 1, got {config[name]}")
  if config.model.norm == "local":
    raise ValueError(
      'model.norm: expected "sync" or "frozen", got "local": a plan compiles the step as parallel="jit" '
      'spreads it, and only "pmap" can do "local"'
    )
  _step_and_state(config, Jit(jax.devices()))


class Programs:
  """Compiles steps for slices and keeps what was measured of them.

  Attributes:
    plans: what was made of it, by names that do not matter.

  Args:
    path: a JSON file, read and written, so that a plan of hours goes on where it was; None: keep nothing.

  Raises:
    ValueError: a path that cannot be written, or a file of something else, which is left as it is.
  """

  def __init__(self, path: pathlib.Path | None = None):
    self._path = path
    self.plans, self._programs = _kept(path) if path else ({}, {})

  def keep(self, config, plan: dict) -> None:
    """Keeps a plan in the file, in the place of an earlier one of the same config, slice and batch."""
    name = _digest([config.to_dict(), plan["topology"], plan["batch"]])
    self.plans[name] = {**_described(config), **_versions(), **plan}
    self._save()

  def _save(self) -> None:
    if self._path:
      write_json(self._path, {"plans": self.plans, "programs": self._programs})

  def measure(self, config, topology: str, batch: int) -> Measures | None:
    """Of the step for `batch` images a chip on the slice `topology`; None if it does not fit."""
    devices = devices_of(topology)
    lowered = lowered_step(config, devices, batch * len(devices))
    # The text that is compiled is the name: nothing outlives a change of the config or the code.
    name = _digest([lowered.as_text(), topology, _versions()])
    if name not in self._programs:
      described = {**_described(config), "topology": topology, "batch_per_chip": batch}
      made_with = {**_versions(), "machine": machine()}
      self._programs[name] = {**described, **made_with, **_compile(lowered, config.grad_accum_steps)}
      self._save()
    return _read(self._programs[name]["measures"])


def _kept(path: pathlib.Path) -> tuple[dict, dict]:
  """(plans, programs) of the file at `path`; none where there is no file."""
  check_output_file(path)
  if not path.exists():
    return {}, {}
  content = read_json(path)
  parts = content.get("plans"), content.get("programs")
  if len(content) != 2 or not all(isinstance(part, dict) for part in parts):
    raise ValueError(
      f'{path}: expected the "plans" and "programs" of an earlier command and nothing else, '
      f"got {', '.join(map(repr, content)) or 'nothing'}; it is left as it is"
    )
  return parts


def _versions() -> dict[str, str]:
  return {name: importlib.metadata.version(name) for name in ("jax", "libtpu")}


def _digest(content: list) -> str:
  return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _described(config) -> dict:
  fields = {"network": config.model.name, "pool": config.pool, "dtype": config.dtype}
  return {**fields, "data": config.data.name, "crop": list(config.data.crop)}


def _compile(lowered, loop: int) -> dict:
  started = time.monotonic()
  try:
    found = measures(lowered.compile(), loop)._asdict()
    found["collectives"] = {kind: c._asdict() for kind, c in found["collectives"].items()}
    result = {"measures": found}
  except jax.errors.JaxRuntimeError as error:
    if "RESOURCE_EXHAUSTED" not in str(error):
      raise
    result = {"measures": None, "refused": str(error).splitlines()[0]}
  return {**result, "compile_seconds": round(time.monotonic() - started, 1)}


def _read(found: dict | None) -> Measures | None:
  if found is None:
    return None
  kinds = {kind: Collective(**c) for kind, c in found["collectives"].items()}
  return Measures(**{**found, "collectives": kinds})

"""Compiles training steps for TPU slices and caches their costs and plans in a JSON file."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import pathlib
import time

import jax

from train.planning.lower_step import lower_train_step
from train.planning.machine import describe_machine
from train.planning.program_cost import Collective, ProgramCost, measure_program
from train.planning.topology import topology_devices
from train.utils.json_files import check_output_file, read_json, write_json


class ProgramCache:
  """The costs of compiled programs, and the plans made of them.

  Attributes:
    plans: by a digest of config, slice and batch.

  Args:
    path: the JSON file, written after every compilation, so that an interrupted plan continues where it
      stopped; None: the cache is only in memory.

  Raises:
    ValueError: the path cannot be written, or the file has other contents; it is not changed.
  """

  def __init__(self, path: pathlib.Path | None = None):
    self._path = path
    self.plans, self._programs = _read_cache(path) if path else ({}, {})

  def add_plan(self, config, plan: dict) -> None:
    """Stores a plan and replaces an earlier one of the same config, slice and batch."""
    key = _digest([config.to_dict(), plan["topology"], plan["batch"]])
    self.plans[key] = {**_describe_config(config), **_package_versions(), **plan}
    self._save()

  def measure(self, config, topology: str, batch: int) -> ProgramCost | None:
    """Compiles the step for `batch` images per chip of a slice; None if it does not fit.

    A program that was measured before is not compiled again.
    """
    devices = topology_devices(topology)
    lowered = lower_train_step(config, devices, batch * len(devices))
    # The key is a digest of the program's text: a change of the config or the code gives a new key.
    key = _digest([lowered.as_text(), topology, _package_versions()])
    if key not in self._programs:
      config_fields = {**_describe_config(config), "topology": topology, "batch_per_chip": batch}
      provenance = {**_package_versions(), "machine": describe_machine()}
      cost = _compile_and_measure(lowered, config.grad_accum_steps)
      self._programs[key] = {**config_fields, **provenance, **cost}
      self._save()
    return _decode_cost(self._programs[key]["measures"])

  def _save(self) -> None:
    if self._path:
      write_json(self._path, {"plans": self.plans, "programs": self._programs})


def _read_cache(path: pathlib.Path) -> tuple[dict, dict]:
  """(plans, programs) of the file at `path`; empty if there is no file."""
  check_output_file(path)
  if not path.exists():
    return {}, {}
  content = read_json(path)
  parts = content.get("plans"), content.get("programs")
  if len(content) != 2 or not all(isinstance(part, dict) for part in parts):
    raise ValueError(
      f'{path}: expected the "plans" and "programs" of an earlier command and nothing else, '
      f"got {', '.join(map(repr, content)) or 'nothing'}; the file is not changed"
    )
  return parts


def _package_versions() -> dict[str, str]:
  return {name: importlib.metadata.version(name) for name in ("jax", "libtpu")}


def _digest(content: list) -> str:
  return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _describe_config(config) -> dict:
  fields = {"network": config.model.name, "pool": config.pool, "dtype": config.dtype}
  return {**fields, "data": config.data.name, "crop": list(config.data.crop)}


def _compile_and_measure(lowered: jax.stages.Lowered, trip_count: int) -> dict:
  """The program's cost as JSON, or the compiler's refusal if it does not fit, and the compile time."""
  started = time.monotonic()
  try:
    cost = measure_program(lowered.compile(), trip_count)._asdict()
    cost["collectives"] = {kind: c._asdict() for kind, c in cost["collectives"].items()}
    result = {"measures": cost}
  except jax.errors.JaxRuntimeError as error:
    if "RESOURCE_EXHAUSTED" not in str(error):
      raise
    result = {"measures": None, "refused": str(error).splitlines()[0]}
  return {**result, "compile_seconds": round(time.monotonic() - started, 1)}


def _decode_cost(cost: dict | None) -> ProgramCost | None:
  if cost is None:
    return None
  kinds = {kind: Collective(**c) for kind, c in cost["collectives"].items()}
  return ProgramCost(**{**cost, "collectives": kinds})

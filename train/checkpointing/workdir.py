"""Which config a workdir belongs to, and what may change in it from start to start.

The fields that determine the result stay the same in a workdir, so that an interrupted run ends with the same
bits as an undisturbed one. Fields that only say how or where it is computed may change at any start; others
change only with `--change`.
"""

from __future__ import annotations

import json
import logging
import pathlib

import flax

from ppool_jax import weights
from train.utils.json_files import read_json, write_json

_LOG = logging.getLogger("train")

RUNTIME_FIELDS = (
  "grad_accum_steps", "checkpoint", "compilation_cache", "data.options.dir", "data.threads", "data.workers",
  "deterministic", "eval.batch_size", "guard.max_rejected", "cluster", "cluster_timeout", "log",
  "model.weights", "parallel",
)  # fmt: skip
"""Fields, and groups of them, that say how or where to train: the result is the same to rounding
(with batch norm, `grad_accum_steps` takes the statistics of a part of the batch)."""


def find_changes(workdir: pathlib.Path, config, change: bool = False) -> list[str]:
  """The differences between `config` and the workdir's, as sentences; none where the workdir is new.

  Args:
    change: whether fields other than `RUNTIME_FIELDS` may differ.

  Raises:
    ValueError: other fields differ; they are named.
  """
  if not (workdir / "config.json").is_file():
    return []
  old, new = read_config(workdir), to_json(config)
  refused = describe_changes(old, new)
  if refused and not change:
    raise ValueError(
      f"{workdir} belongs to another config ({'; '.join(refused)}): choose another --workdir, or continue "
      "from its newest checkpoint with --change"
    )
  return list(_differences(old, new).values())


def read_config(workdir: pathlib.Path) -> dict:
  """The config of the run in `workdir`, from its config.json.

  Raises:
    ValueError: it was written by a version whose fields had other names, or is damaged.
  """
  config = read_json(workdir / "config.json")
  if "batch_size" not in config:
    raise ValueError(
      f"{workdir}: its config.json has no field batch_size: an earlier version wrote it. "
      "Use that version, or choose another --workdir"
    )
  return config


def describe_changes(old: dict, new: dict) -> list[str]:
  """The differences of two configs beyond `RUNTIME_FIELDS`, as sentences."""
  return [text for name, text in _differences(old, new).items() if not _is_runtime_field(name)]


def write_run_metadata(
  workdir: pathlib.Path, config, pretrained: weights.Pretrained, step: int = 0, changes: list | tuple = ()
) -> None:
  """Writes config.json and weights.json, and appends what changed at `step` to changes.json.

  The summary of a finished run that continues is renamed to summary-STEP.json.

  Args:
    pretrained: the weights that the training starts from.
    changes: of `find_changes`.

  Raises:
    ValueError: a weights file of another kind than the run started with.
    OSError: a file cannot be written.
  """
  _, preprocess, options = pretrained
  kind = {"preprocess": preprocess.as_dict(), "options": dict(options)}
  try:
    if not (workdir / "config.json").is_file():
      write_json(workdir / "weights.json", kind)
    elif read_json(workdir / "weights.json") != json.loads(json.dumps(kind)):
      raise ValueError(f"{workdir} started with a weights file of another kind than {config.model.weights!r}")
    elif changes:
      record = workdir / "changes.json"
      before = read_json(record, list) if record.is_file() else []
      write_json(record, [*before, {"step": step, "changes": list(changes)}])
      if (summary := workdir / "summary.json").is_file():  # of fewer steps
        summary.rename(workdir / f"summary-{step}.json")
      _LOG.info("CHANGED at step %d: %s", step, "; ".join(changes))
    write_json(workdir / "config.json", to_json(config))
  except OSError as error:
    raise OSError(f"workdir {workdir} cannot be written: {error}") from error


def describe_finished(workdir: pathlib.Path, config, change: bool = False) -> str:
  """What a finished run reached; "" if it is not finished, or if `change` lets `config` ask for more steps.

  Raises:
    ValueError: the run belongs to another config.
  """
  path = workdir / "summary.json"
  if not path.is_file():
    return ""
  find_changes(workdir, config, change)
  summary = read_json(path)
  if change and config.steps > summary["step"]:
    return ""
  return f"{workdir} is finished: step {summary['step']}, mIoU {summary['miou']:.4f}"


def to_json(config) -> dict:
  """A config as JSON holds it: tuples become lists."""
  return json.loads(json.dumps(config.to_dict()))


def flatten(config: dict) -> dict:
  """The fields of a config by their full names, such as "schedule.learning_rate"."""
  return flax.traverse_util.flatten_dict(config, sep=".")


def _differences(old: dict, new: dict) -> dict[str, str]:
  """The fields in which two configs differ, each with a sentence that says how."""
  old, new = flatten(old), flatten(new)
  names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
  return {name: f"{name} was {old.get(name)!r}, now {new.get(name)!r}" for name in names}


def _is_runtime_field(name: str) -> bool:
  return any(name == field or name.startswith(f"{field}.") for field in RUNTIME_FIELDS)

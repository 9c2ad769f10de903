"""Whose a workdir is: one training at a time, and one config.

What a training is a function of stays the same in a workdir, so that an interrupted run ends in the bits of
an undisturbed one. How it is computed may change from start to start; anything else when it is asked for.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import pathlib
import shutil
import socket
import time
from collections.abc import Iterator

from ppool_jax import weights
from train.utils.json_files import read_json, write_json

_LOG = logging.getLogger("train")

HOW = (
  "grad_accum_steps", "checkpoint", "compilation_cache", "data.options.dir", "data.threads", "data.workers",
  "deterministic", "eval.batch_size", "guard.max_rejected", "cluster", "cluster_timeout", "log",
  "model.weights", "parallel",
)  # fmt: skip
"""Fields, and groups of them, that say how or where to train and not what: the result is the same to rounding
(with batch norm `grad_accum_steps` takes the statistics of a part)."""

_PATIENCE = 5.0
"""Seconds in which a process that was killed or interrupted just now may end."""


@contextlib.contextmanager
def locked(workdir: pathlib.Path) -> Iterator[None]:
  """Makes `workdir`, and keeps others from training there; a process that ends in any way lets go.

  A folder that was made for a training which did not begin is removed.

  Raises:
    ValueError: another process is training there.
    OSError: it cannot be made or written.
  """
  made = not workdir.exists()
  try:
    workdir.mkdir(parents=True, exist_ok=True)
    file = (workdir / ".lock").open("a+")
  except OSError as error:
    raise OSError(f"workdir {workdir} cannot be written: {error}") from error
  with file:
    _lock(file, workdir)
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}")
    file.flush()
    try:
      yield
    finally:
      if made and (workdir / ".lock").exists() and not (workdir / "config.json").exists():
        shutil.rmtree(workdir, ignore_errors=True)


def _lock(file, workdir: pathlib.Path) -> None:
  end = time.monotonic() + _PATIENCE
  while True:
    try:
      return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      if time.monotonic() > end:
        file.seek(0)
        owner = file.read() or "another process"
        raise ValueError(
          f"{workdir} is being trained by {owner}: wait for it, stop it, or choose another --workdir"
        ) from None
      time.sleep(0.1)
    except OSError as error:  # a file system without locks
      return _LOG.warning("%s cannot be locked (%s): start one training there at a time", workdir, error)


def changes(workdir: pathlib.Path, config, change: bool = False) -> list[str]:
  """What differs from the config that `workdir` is of, as sentences; nothing where it is new.

  Args:
    change: whether more than `HOW` may differ.

  Raises:
    ValueError: more differs; the fields are named.
  """
  path = workdir / "config.json"
  if not path.is_file():
    return []
  old, new = read_config(workdir), plain(config)
  texts, what = differences(old, new), other_training(old, new)
  if what and not change:
    raise ValueError(
      f"{workdir} belongs to another config ({'; '.join(what)}): choose another --workdir, or go on from its "
      "newest checkpoint by --change"
    )
  return list(texts.values())


def read_config(workdir: pathlib.Path) -> dict:
  """The config of the run in `workdir`, as its config.json has it.

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


def differences(old: dict, new: dict) -> dict[str, str]:
  """The fields in which two configs differ, each with a sentence that says so."""
  old, new = flat(old), flat(new)
  differ = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
  return {key: f"{key} was {old.get(key)!r}, now {new.get(key)!r}" for key in differ}


def other_training(old: dict, new: dict) -> list[str]:
  """The differences of two configs, as sentences, that make them other trainings: those beyond `HOW`."""
  return [text for key, text in differences(old, new).items() if not _how(key)]


def _how(key: str) -> bool:
  return any(key == name or key.startswith(f"{name}.") for name in HOW)


def claim(
  workdir: pathlib.Path, config, pretrained: weights.Pretrained, step: int = 0, changed: tuple = ()
) -> None:
  """Writes config.json and weights.json, and what changed at `step` to changes.json.

  The summary of a finished run that goes on is kept as summary-STEP.json.

  Args:
    pretrained: the weights that the training starts from, of the experiment.
    changed: of `changes`.

  Raises:
    ValueError: a weights file of another kind than the run began with.
    OSError: it cannot be written.
  """
  _, preprocess, options = pretrained
  kind = {"preprocess": preprocess.as_dict(), "options": dict(options)}
  try:
    if not (workdir / "config.json").is_file():
      write_json(workdir / "weights.json", kind)
    elif read_json(workdir / "weights.json") != json.loads(json.dumps(kind)):
      raise ValueError(f"{workdir} began with a weights file of another kind than {config.model.weights!r}")
    elif changed:
      record = workdir / "changes.json"
      before = read_json(record, list) if record.is_file() else []
      write_json(record, [*before, {"step": step, "changes": list(changed)}])
      if (summary := workdir / "summary.json").is_file():  # of fewer steps
        summary.rename(workdir / f"summary-{step}.json")
      _LOG.info("CHANGED at step %d: %s", step, "; ".join(changed))
    write_json(workdir / "config.json", plain(config))
  except OSError as error:
    raise OSError(f"workdir {workdir} cannot be written: {error}") from error


def finished(workdir: pathlib.Path, config, change: bool = False) -> str:
  """What a finished run is; nothing where it is not, or where `config` has more steps by `change`.

  Raises:
    ValueError: it is of another config.
  """
  path = workdir / "summary.json"
  if not path.is_file():
    return ""
  changes(workdir, config, change)
  summary = read_json(path)
  if change and config.steps > summary["step"]:
    return ""
  return f"{workdir} is finished: step {summary['step']}, mIoU {summary['miou']:.4f}"


def plain(config) -> dict:
  """As JSON has it."""
  return json.loads(json.dumps(config.to_dict()))


def flat(tree: dict, prefix: str = "") -> dict:
  """The fields of a config by their full names, "schedule.learning_rate"."""
  fields = {}
  for key, value in tree.items():
    fields.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
  return fields

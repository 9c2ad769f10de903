"""Trains and evaluates the runs of a study that are not done and that no other process trains."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

import filelock
import jax

from train.checkpointing import workdir as workdirs
from train.evaluation.entry_points import evaluate_workdir
from train.loop.loop import train
from train.step.update_guard import TrainingDiverged
from train.studies.definition import Study
from train.studies.provenance import details
from train.studies.result import Result, write_result
from train.studies.runs import Run, try_lock
from train.utils.json_files import read_json
from train.utils.progress import format_duration

_LOG = logging.getLogger("train")

_RUN_ERRORS = (ValueError, TypeError, ImportError, FileNotFoundError, RuntimeError)
"""Errors of one run, after which the others go on. A full disk, for example, stops them all."""


class Outcome(NamedTuple):
  """What became of the runs that this process took.

  Attributes:
    interrupted: whether Ctrl-C or SIGTERM ended it.
    failed: of the runs that could not be trained, what was wrong.
  """

  interrupted: bool
  failed: dict[str, str]


def train_runs(study: Study, runs: Sequence[Run]) -> Outcome:
  """Trains and evaluates every run that is not done and that no other process holds.

  A run that another process has left undone is trained, too. A run that cannot be trained does not stop the
  others.

  Raises:
    OSError: nothing can be written, for example; the runs that are done stay.
  """
  started, trained, failed = time.monotonic(), 0, {}
  while taken := _next(runs, failed):
    run, lock = taken
    try:
      _announce(study, runs, (time.monotonic() - started) / trained if trained else None)
      _LOG.info("RUN %s: %s", run, run.workdir)
      result = execute(study, run)
      if result is None:
        return Outcome(True, failed)
      write_result(run.result, result)
    except _RUN_ERRORS as error:
      failed[str(run)] = f"{error} ({type(error).__name__})"
      _LOG.error("RUN %s: FAILED: %s", run, failed[str(run)])
    finally:
      lock.release()
    trained += 1
    jax.clear_caches()  # each run compiles programs of its own; the disk keeps them
  return Outcome(False, failed)


def _announce(study: Study, runs: Sequence[Run], seconds: float | None) -> None:
  """Logs the progress of the whole; `seconds` is what a run takes."""
  left = sum(not run.done for run in runs)
  eta = f", ETA {format_duration(seconds * left)}" if seconds else ""
  _LOG.info("STUDY %s: %d of %d runs done%s", study.name, len(runs) - left, len(runs), eta)


def _next(runs: Sequence[Run], failed: dict) -> tuple[Run, filelock.BaseFileLock] | None:
  """The first run that is neither done, nor failed, nor held by another process, and its lock, acquired."""
  for run in runs:
    if not run.done and str(run) not in failed and (lock := try_lock(run)):
      if not run.done:  # it may have been finished in the meantime
        return run, lock
      lock.release()
  return None


def execute(study: Study, run: Run) -> Result | None:
  """Trains and evaluates one run, from where it was; None: interrupted, and saved.

  Raises:
    ValueError, OSError: as `train.loop.loop.train`.
  """
  config = study.config(run.variant, run.seed)
  plain = workdirs.plain(config)
  try:
    if not workdirs.finished(run.workdir, config) and train(config, run.workdir) is None:
      return None
  except TrainingDiverged as error:
    _LOG.warning("RUN %s: DIVERGED at step %d", run, error.step)
    about = {**details(run.workdir, plain), "reason": str(error).split(";")[0]}
    return Result(run.variant.name, run.seed, "diverged", error.step, {}, 0.0, plain, about)
  summary = read_json(run.workdir / "summary.json")
  scores = evaluate_workdir(run.workdir, boundary=study.boundary)
  about = {key: scores.pop(key) for key in ("data", "split", "step", "inference")}
  _LOG.info("RUN %s: mIoU %.2f %%", run, 100 * scores["miou"])
  made = {**details(run.workdir, plain), "evaluation": about}
  seconds = summary["seconds"]
  return Result(run.variant.name, run.seed, "finished", summary["step"], scores, seconds, plain, made)

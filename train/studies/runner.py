"""Trains and evaluates the runs of a study that are not done and that no other process is training."""

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
from train.studies.provenance import collect_provenance
from train.studies.result import Result, write_result
from train.studies.runs import Run, try_lock
from train.utils.json_files import read_json
from train.utils.progress import format_duration

_LOG = logging.getLogger("train")

_RUN_ERRORS = (ValueError, TypeError, ImportError, FileNotFoundError, RuntimeError)
"""Errors that end one run but not the others. Other errors, such as a full disk, end all runs."""


class Outcome(NamedTuple):
  """The outcome of the runs that this process trained.

  Attributes:
    interrupted: whether Ctrl-C or SIGTERM ended the process.
    failed: error messages of the runs that could not be trained, by run.
  """

  interrupted: bool
  failed: dict[str, str]


def train_runs(study: Study, runs: Sequence[Run]) -> Outcome:
  """Trains and evaluates every run that is not done and that no other process has locked.

  This includes runs that another process left unfinished. A run that fails does not stop the others.

  Raises:
    OSError: for example, the disk is full. Results of finished runs are kept.
  """
  started, trained, failed = time.monotonic(), 0, {}
  while acquired := _acquire_next(runs, failed):
    run, lock = acquired
    try:
      _log_progress(study, runs, (time.monotonic() - started) / trained if trained else None)
      _LOG.info("RUN %s: %s", run, run.workdir)
      result = train_and_evaluate(study, run)
      if result is None:
        return Outcome(True, failed)
      write_result(run.result, result)
    except _RUN_ERRORS as error:
      failed[str(run)] = f"{error} ({type(error).__name__})"
      _LOG.error("RUN %s: FAILED: %s", run, failed[str(run)])
    finally:
      lock.release()
    trained += 1
    jax.clear_caches()  # frees memory: each run compiles its own programs
  return Outcome(False, failed)


def _log_progress(study: Study, runs: Sequence[Run], seconds: float | None) -> None:
  """Logs the progress of the study; `seconds` is the mean time per run."""
  left = sum(not run.done for run in runs)
  eta = f", ETA {format_duration(seconds * left)}" if seconds else ""
  _LOG.info("STUDY %s: %d of %d runs done%s", study.name, len(runs) - left, len(runs), eta)


def _acquire_next(runs: Sequence[Run], failed: dict) -> tuple[Run, filelock.BaseFileLock] | None:
  """The first run that is neither done nor failed nor locked, with its acquired lock."""
  for run in runs:
    if not run.done and str(run) not in failed and (lock := try_lock(run)):
      if not run.done:  # another process may have finished it in the meantime
        return run, lock
      lock.release()
  return None


def train_and_evaluate(study: Study, run: Run) -> Result | None:
  """Trains and evaluates one run, from its last checkpoint if there is one.

  Returns:
    The result; None if the training was interrupted and saved.

  Raises:
    ValueError, OSError: as `train.loop.loop.train`.
  """
  config = study.resolve_config(run.variant, run.seed)
  config_dict = workdirs.to_json(config)
  try:
    if not workdirs.describe_finished(run.workdir, config) and train(config, run.workdir) is None:
      return None
  except TrainingDiverged as error:
    _LOG.warning("RUN %s: DIVERGED at step %d", run, error.step)
    provenance = {**collect_provenance(run.workdir, config_dict), "reason": str(error).split(";")[0]}
    return Result(run.variant.name, run.seed, "diverged", error.step, {}, 0.0, config_dict, provenance)
  summary = read_json(run.workdir / "summary.json")
  scores = evaluate_workdir(run.workdir, boundary=study.boundary)
  evaluation = {key: scores.pop(key) for key in ("data", "split", "step", "inference")}
  _LOG.info("RUN %s: mIoU %.2f %%", run, 100 * scores["miou"])
  provenance = {**collect_provenance(run.workdir, config_dict), "evaluation": evaluation}
  seconds = summary["seconds"]
  return Result(
    run.variant.name, run.seed, "finished", summary["step"], scores, seconds, config_dict, provenance
  )

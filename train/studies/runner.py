"""Trains the runs of a study that nobody has trained or is training, one after another."""

from __future__ import annotations

import contextlib
import logging
import pathlib
import platform
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import filelock
import jax

from train.checkpointing import workdir as workdirs
from train.evaluation.evaluate import evaluate_workdir
from train.loop.loop import train
from train.loop.metric_writer import read_metrics
from train.loop.setup import code_sha256
from train.step.update_guard import TrainingDiverged
from train.studies.definition import Study, Variant
from train.studies.result import Result, read_results, result_path, write_result
from train.utils.json_files import read_json, write_json
from train.utils.progress import duration

_LOG = logging.getLogger("train")


class Run(NamedTuple):
  """One variant and one seed.

  Attributes:
    workdir: of the training, DIR/runs/VARIANT/seed-N.
    result: the file that a run which is done has.
    lock: the file that whoever trains it has locked.
  """

  variant: Variant
  seed: int
  workdir: pathlib.Path
  result: pathlib.Path
  lock: pathlib.Path

  def __str__(self) -> str:
    return f"{self.variant.name}, seed {self.seed}"

  @property
  def done(self) -> bool:
    return self.result.is_file()


def plan_runs(folder: pathlib.Path, variants: Sequence[Variant], seeds: Sequence[int]) -> list[Run]:
  """All runs, seed by seed, so that a study that stops early has all variants with the same seeds."""
  return [
    Run(
      variant,
      seed,
      folder / "runs" / variant.name / f"seed-{seed}",
      result_path(folder, variant.name, seed),
      folder / "locks" / f"{variant.name}-seed-{seed}.lock",
    )
    for seed in seeds
    for variant in variants
  ]


def check_folder(folder: pathlib.Path, study: Study) -> None:
  """Refuses a folder that is not this study's; one that does not exist may become it.

  Raises:
    ValueError: it is another study's, or has the result of a variant that had another config.
  """
  path = folder / "study.json"
  if path.is_file():
    name = read_json(path).get("study")
    if name != study.name:
      raise ValueError(f"{folder} belongs to the study {name!r}, not to {study.name!r}")
  elif folder.exists() and any(folder.iterdir()):
    raise ValueError(f"{folder}: expected a new folder or a study's workdir, but it has other files")
  check_results(study, read_results(folder))


def open_folder(folder: pathlib.Path, study: Study) -> None:
  """Makes the study's folder, or checks that it is this study's.

  Raises:
    ValueError: as `check_folder`.
    OSError: it cannot be made or written.
  """
  check_folder(folder, study)
  folder.mkdir(parents=True, exist_ok=True)
  if not (folder / "study.json").is_file():
    write_json(folder / "study.json", {"study": study.name})


def check_results(study: Study, results: Sequence[Result]) -> None:
  """Refuses results of a variant whose config has changed since.

  Raises:
    ValueError: names the variant and the fields.
  """
  variants = {variant.name: variant for variant in study.variants}
  for result in results:
    if result.variant in variants:
      config = workdirs.plain(study.config(variants[result.variant], result.seed))
      if changed := workdirs.other_training(result.config, config):
        raise ValueError(
          f"variant {result.variant!r}, seed {result.seed}: its result is of another config "
          f"({'; '.join(changed)}): choose another --workdir or another name"
        )


def train_runs(study: Study, runs: Sequence[Run]) -> bool:
  """Trains and evaluates every run that is not done and that no other process holds.

  A run that another process has left undone is taken, too.

  Returns:
    Whether it went through all runs, which Ctrl-C and SIGTERM prevent; others may still be training some.

  Raises:
    ValueError, OSError: a run cannot be trained; those that are done stay.
  """
  started, trained = time.monotonic(), 0
  while taken := _take(runs):
    run, lock = taken
    try:
      _announce(study, runs, (time.monotonic() - started) / trained if trained else None)
      _LOG.info("RUN %s: %s", run, run.workdir)
      result = execute(study, run)
      if result is None:
        return False
      write_result(run.result, result)
    finally:
      lock.release()
    trained += 1
    jax.clear_caches()  # each run compiles programs of its own; the disk keeps them
  return True


def _announce(study: Study, runs: Sequence[Run], seconds: float | None) -> None:
  """Logs the progress of the whole, with `seconds` that a run takes."""
  left = sum(not run.done for run in runs)
  eta = f", ETA {duration(seconds * left)}" if seconds else ""
  _LOG.info("STUDY %s: %d of %d runs done%s", study.name, len(runs) - left, len(runs), eta)


def _take(runs: Sequence[Run]) -> tuple[Run, filelock.BaseFileLock] | None:
  """The first run that is neither done nor held by another process, and its lock, taken."""
  for run in runs:
    if not run.done and (lock := hold(run)):
      if not run.done:  # it may have been finished in the meantime
        return run, lock
      lock.release()
  return None


def hold(run: Run) -> filelock.BaseFileLock | None:
  """The lock of a run, taken, or None where another process has it; a process that ends lets go of it."""
  run.lock.parent.mkdir(parents=True, exist_ok=True)
  lock = filelock.FileLock(run.lock)
  try:
    lock.acquire(timeout=0)
  except filelock.Timeout:
    return None
  return lock


def execute(study: Study, run: Run) -> Result | None:
  """Trains and evaluates one run, from where it was; None: interrupted, and saved.

  Raises:
    ValueError, OSError: as `train.loop.loop.train`.
  """
  config = study.config(run.variant, run.seed)
  plain = workdirs.plain(config)
  with _named(run):
    try:
      if not workdirs.finished(run.workdir, config) and train(config, run.workdir) is None:
        return None
    except TrainingDiverged as error:
      _LOG.warning("RUN %s: DIVERGED: %s", run, error)
      return Result(run.variant.name, run.seed, "diverged", error.step, {}, 0.0, plain, details(run.workdir))
    summary = read_json(run.workdir / "summary.json")
    scores = evaluate_workdir(run.workdir, boundary=study.boundary)
    about = {key: scores.pop(key) for key in ("data", "split", "step", "inference")}
  _LOG.info("RUN %s: mIoU %.2f %%", run, 100 * scores["miou"])
  return Result(
    run.variant.name, run.seed, "finished", summary["step"], scores, summary["seconds"], plain,
    {**details(run.workdir), "evaluation": about},
  )  # fmt: skip


def details(workdir: pathlib.Path) -> dict:
  """What a result says of how it was made: code, versions, the last statistics of alpha."""
  lines = [line for line in read_metrics(workdir) if any(key.startswith("alpha/") for key in line)]
  alpha = {key: value for key, value in lines[-1].items() if key.startswith("alpha/")} if lines else {}
  return {
    "commit": _commit(),
    "code": code_sha256(),
    "jax": jax.__version__,
    "python": platform.python_version(),
    "device": jax.devices()[0].device_kind,
    "devices": jax.device_count(),
    "alpha": alpha,
  }


def _commit() -> str | None:
  """The commit that is checked out; None where this is no clone."""
  folder = pathlib.Path(__file__).parent
  command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
  try:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
  except (OSError, subprocess.CalledProcessError):
    return None


@contextlib.contextmanager
def _named(run: Run) -> Iterator[None]:
  """Errors name the run."""
  try:
    yield
  except TrainingDiverged:
    raise
  except (ValueError, OSError) as error:
    raise type(error)(f"run {run}: {error}") from error

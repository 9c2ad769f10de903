"""The runs of a study: one for each variant and seed, and who trains which."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import filelock

from train.studies.definition import Variant
from train.studies.result import result_path

_LOCK_TIMEOUT = 0.3
"""Seconds to wait for a lock: `--list` holds each for a moment."""


class Run(NamedTuple):
  """One variant and one seed.

  Attributes:
    workdir: of the training, DIR/runs/VARIANT/seed-N.
    result: the file that exists once the run is done.
    lock: the file that the process which trains the run keeps locked.
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


def try_lock(run: Run) -> filelock.BaseFileLock | None:
  """The lock of a run, acquired, or None where another process has it; a process that ends releases it.

  Raises:
    OSError: the lock's file cannot be written.
  """
  run.lock.parent.mkdir(parents=True, exist_ok=True)
  lock = filelock.FileLock(run.lock)
  try:
    lock.acquire(timeout=_LOCK_TIMEOUT, poll_interval=0.05)
  except filelock.Timeout:
    return None
  return lock

"""Lists the runs of a study, one for each variant and seed, and locks them between processes."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import filelock

from train.studies.definition import Variant
from train.studies.result import result_path

_LOCK_TIMEOUT = 0.3
"""Seconds to wait for a lock, because `--list` holds each lock for a moment."""


class Run(NamedTuple):
  """One variant with one seed.

  Attributes:
    variant: the variant.
    seed: the seed.
    workdir: workdir of the training, DIR/runs/VARIANT/seed-N.
    result: file of the result, which exists once the run is done.
    lock: file that is locked by the process that trains the run.
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
  """All runs, ordered by seed, so that a study that stops early has the same seeds for all variants."""
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
  """Acquires the lock of a run; None if another process holds it. The lock ends with its process.

  Raises:
    OSError: the lock file cannot be written.
  """
  run.lock.parent.mkdir(parents=True, exist_ok=True)
  lock = filelock.FileLock(run.lock)
  try:
    lock.acquire(timeout=_LOCK_TIMEOUT, poll_interval=0.05)
  except filelock.Timeout:
    return None
  return lock

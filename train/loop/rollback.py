"""The rollbacks of a run: which steps were undone, and which batches are therefore left out.

A run with rollbacks is still a function of its config. From a rejected step it goes back a fixed number of
steps, not to whatever checkpoint is the newest, and continues with the batches after the rejected one. The
rollbacks are recorded in WORKDIR/rollbacks.json, so that an interrupted run repeats them.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Generator
from typing import NamedTuple

from train.distributed import multihost
from train.utils.json_files import read_json, write_json


class RolledBack(Exception):
  """The run has to continue from an earlier step."""


class Rollback(NamedTuple):
  """One rollback.

  Attributes:
    step: the rejected step, counted from 1.
    batch: index in the data stream of the rejected batch.
    resume_step: number of steps that are kept; the next step takes batch + 1.
    done: whether the checkpoints of later steps were deleted.
  """

  step: int
  batch: int
  resume_step: int
  done: bool = False


class RollbackLog:
  """The rollbacks of a run, in the order they happened.

  Args:
    workdir: of the run.
  """

  def __init__(self, workdir: pathlib.Path):
    self._path = pathlib.Path(workdir) / "rollbacks.json"
    self._rollbacks = [Rollback(**entry) for entry in multihost.on_primary(self._read)]

  def __len__(self) -> int:
    return len(self._rollbacks)

  def add(self, step: int, rollback_steps: int) -> Rollback:
    """Records that `step` was rejected and that `rollback_steps` steps before it are undone."""
    rollback = Rollback(step, self.batch_index(step - 1), max(0, step - 1 - rollback_steps))
    self._rollbacks.append(rollback)
    multihost.on_primary(self._write)
    return rollback

  def delete_undone(self, checkpoints: list) -> None:
    """Deletes the checkpoints of the steps that the last rollback undid.

    Args:
      checkpoints: the `Checkpoints` of the run.
    """
    if self._rollbacks and not self._rollbacks[-1].done:
      for folder in checkpoints:
        multihost.on_primary(folder.discard, self._rollbacks[-1].resume_step)
      self._rollbacks[-1] = self._rollbacks[-1]._replace(done=True)
      multihost.on_primary(self._write)

  def batch_index(self, step: int) -> int:
    """The index in the data stream of the batch that comes after `step` steps."""
    for rollback in reversed(self._rollbacks):
      if rollback.resume_step <= step:
        return rollback.batch + 1 + step - rollback.resume_step
    return step

  def batches(self, load: Callable, start: int, stop: int) -> Generator[dict]:
    """The batches of the steps after `start` up to `stop`, without the rejected ones.

    Args:
      load: `load(start=, stop=)` is the stream of the batches with these indices.
    """
    jumps = sorted({one.resume_step for one in self._rollbacks if start < one.resume_step < stop})
    for begin, end in zip([start, *jumps], [*jumps, stop], strict=True):
      first = self.batch_index(begin)
      yield from load(start=first, stop=first + end - begin)

  def _read(self) -> list[dict]:
    return read_json(self._path, list) if self._path.is_file() else []

  def _write(self) -> None:
    write_json(self._path, [one._asdict() for one in self._rollbacks])

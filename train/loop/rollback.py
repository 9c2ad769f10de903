"""Rollbacks: which steps were taken back, and which batches are therefore left out.

A run with rollbacks is still a function of its config: from a step that was held it goes back a number of
steps, not to whatever checkpoint is the newest, and goes on with the batches after the held one. What
happened stands in WORKDIR/rollbacks.json, so that a run which is interrupted does the same again.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from train.distributed import multihost
from train.utils.json_files import read_json, write_json


class RolledBack(Exception):
  """The run has to go on from an earlier step."""


class Rollback(NamedTuple):
  """One rollback.

  Attributes:
    step: the one that was held, counted from 1.
    batch: the index in the stream of the batch it was held for.
    back_to: steps that are kept; the next one takes batch + 1.
    done: whether the checkpoints of later steps were deleted.
  """

  step: int
  batch: int
  back_to: int
  done: bool = False


class Rollbacks:
  """Those of a run, in the order they happened.

  Args:
    workdir: of the run.
  """

  def __init__(self, workdir: pathlib.Path):
    self._path = pathlib.Path(workdir) / "rollbacks.json"
    self._all = [Rollback(**one) for one in multihost.on_first(self._read)]

  def __len__(self) -> int:
    return len(self._all)

  def add(self, step: int, back: int) -> Rollback:
    """Records that `step` was held, and that `back` steps before it are taken back, too."""
    rollback = Rollback(step, self.batch(step - 1), max(0, step - 1 - back))
    self._all.append(rollback)
    multihost.on_first(self._write)
    return rollback

  def finish(self, folders: list) -> None:
    """Deletes the checkpoints of the steps that the last rollback took back.

    Args:
      folders: of `Checkpoints`.
    """
    if self._all and not self._all[-1].done:
      for folder in folders:
        multihost.on_first(folder.discard, self._all[-1].back_to)
      self._all[-1] = self._all[-1]._replace(done=True)
      multihost.on_first(self._write)

  def batch(self, steps: int) -> int:
    """The index of the batch that is taken after so many steps."""
    for rollback in reversed(self._all):
      if rollback.back_to <= steps:
        return rollback.batch + 1 + steps - rollback.back_to
    return steps

  def stream(self, load: Callable, start: int, stop: int) -> Iterator:
    """The batches of the steps after `start` up to `stop`.

    Args:
      load: `load(start=, stop=)` is the stream of the batches with these indices.
    """
    turns = sorted({one.back_to for one in self._all if start < one.back_to < stop})
    ends = [*turns, stop]
    for begin, end in zip([start, *turns], ends, strict=True):
      first = self.batch(begin)
      yield from load(start=first, stop=first + end - begin)

  def _read(self) -> list[dict]:
    return read_json(self._path, list) if self._path.is_file() else []

  def _write(self) -> None:
    write_json(self._path, [one._asdict() for one in self._all])

"""Checkpoints written while the training goes on."""

from __future__ import annotations

import concurrent.futures

import jax
import numpy as np

from train.checkpointing.checkpoint import Checkpoints


class Saver:
  """Writes to `checkpoints` in a thread: the loop waits for the copy to the host, and for the save before.

  Leaving it waits for the last one.
  """

  def __init__(self, checkpoints: Checkpoints):
    self._checkpoints = checkpoints
    self._thread = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
    self._writing: concurrent.futures.Future | None = None

  def __enter__(self) -> Saver:
    return self

  def __exit__(self, kind, error, trace) -> None:
    self._thread.shutdown()
    if kind is None:
      self.wait()

  def save(self, step: int, state, seconds: float) -> None:
    """As `Checkpoints.save`, of a copy: the next step reuses the state's buffers.

    Raises:
      CannotWrite: the save before this one failed.
    """
    self.wait()
    copy = jax.tree.map(np.array, jax.device_get(state))  # on CPU device_get gives views of the buffers
    self._writing = self._thread.submit(self._checkpoints.save, step, copy, seconds)

  def wait(self) -> None:
    """Until the last save is written.

    Raises:
      CannotWrite: it failed.
    """
    if self._writing:
      writing, self._writing = self._writing, None
      writing.result()

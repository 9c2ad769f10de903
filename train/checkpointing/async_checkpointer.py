"""Writes checkpoints while the training continues."""

from __future__ import annotations

import concurrent.futures

import jax
import numpy as np

from train.checkpointing.checkpoint import Checkpoints


class AsyncCheckpointer:
  """Writes to `checkpoints` in a thread.

  The loop waits for the copy to the host and for the save before. Leaving the context waits for the last
  save.
  """

  def __init__(self, checkpoints: Checkpoints):
    self.checkpoints = checkpoints
    self._executor = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
    self._pending: concurrent.futures.Future | None = None

  def __enter__(self) -> AsyncCheckpointer:
    return self

  def __exit__(self, kind, error, trace) -> None:
    self._executor.shutdown()
    if kind is None:
      self.wait()

  def save(self, step: int, state, seconds: float) -> None:
    """Saves a copy as `Checkpoints.save` does: the next step reuses the state's buffers.

    Raises:
      WriteError: the save before this one failed.
    """
    self.wait()
    copy = jax.tree.map(np.array, jax.device_get(state))  # on CPU device_get returns views of the buffers
    self._pending = self._executor.submit(self.checkpoints.save, step, copy, seconds)

  def wait(self) -> None:
    """Waits until the last save is written.

    Raises:
      WriteError: it failed.
    """
    if self._pending:
      pending, self._pending = self._pending, None
      pending.result()

"""Wishes of single processes that all grant after the same step.

A signal reaches one host, and clocks differ. So wishes travel with the batch: the step sums them over all
devices, and every process reads the same sums. Nobody waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from train.distributed import multihost
from train.loop.preemption import Interruption


class Wishes:
  """What this process wishes now: "stop" after a signal, "save" when it is time, "fail" if it cannot log.

  Args:
    interruption: has the signals.
    seconds: between checkpoints, by the clock of the first process; 0: whenever.
    failed: whether it cannot log.
  """

  def __init__(self, interruption: Interruption, seconds: float, failed: Callable[[], bool] = lambda: False):
    self._interruption, self._seconds, self._failed = interruption, seconds, failed
    self.saved()

  def saved(self) -> None:
    """A checkpoint was written just now."""
    self._time = time.monotonic()

  def of(self, count: int) -> dict[str, np.ndarray]:
    """For a batch of `count` examples: 1 for each if it is wished, int32 `[count]`."""
    late = self._seconds and time.monotonic() - self._time >= self._seconds
    wishes = {
      "stop": self._interruption.wanted,
      "save": bool(late and multihost.first()),
      "fail": self._failed(),
    }
    return {name: np.full(count, wished, np.int32) for name, wished in wishes.items()}

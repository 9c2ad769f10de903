"""Control flags that all processes act on after the same step.

A signal reaches one host, and the clocks of hosts differ. So each process passes its flags to the training
step, which sums them over all devices, and every process reads the same sums. No process waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import jax
import numpy as np

from train.distributed import multihost
from train.loop.preemption import PreemptionHandler


class StepControl:
  """What all processes agreed to do after a step.

  Args:
    preemption: knows whether this process was asked to stop.
    save_seconds: between checkpoints, by the clock of the primary process; 0: no checkpoint by time.
    has_log_failed: returns whether this process could not write its log.

  Attributes:
    should_stop: save and end the run.
    should_save: save, as the time between checkpoints has passed.
    log_failed: end the run with the error of the process that could not log.
  """

  def __init__(
    self,
    preemption: PreemptionHandler,
    save_seconds: float,
    has_log_failed: Callable[[], bool] = lambda: False,
  ):
    self._preemption, self._save_seconds, self._log_failed_here = preemption, save_seconds, has_log_failed
    self.should_stop = self.should_save = self.log_failed = False
    self.reset_save_timer()

  def flags(self, devices: int) -> np.ndarray:
    """This process's flags for the next step, int32 `[devices, 3]`: stop, save, log failed.

    Args:
      devices: of this process that the step runs on.
    """
    late = self._save_seconds and time.monotonic() - self._saved_at >= self._save_seconds
    flags = (self._preemption.stop_requested, late and multihost.is_primary(), self._log_failed_here())
    return np.tile(np.array(flags, np.int32), (devices, 1))

  def update(self, sums: np.ndarray) -> None:
    """Takes the flags of a step, summed over all devices, `[3]`: above 0 where any process set them."""
    stop, save, failed = (bool(total) for total in sums)
    self.should_stop, self.should_save = self.should_stop or stop, self.should_save or save
    self.log_failed = self.log_failed or failed

  def stop_if_requested(self) -> None:
    """Agrees at once, for requests that came while no step ran; all processes call it together."""
    if any(multihost.gather(self._preemption.stop_requested)):
      self.should_stop = True

  def reset_save_timer(self) -> None:
    """A checkpoint was just saved."""
    self.should_save = False
    self._saved_at = time.monotonic()


def with_flags(step: Callable, parallel) -> Callable:
  """Extends a training step by control flags: `(state, batch, flags) -> (state, metrics, flag sums)`.

  Args:
    step: `(state, batch) -> (state, metrics)`.
    parallel: the backend, which sums over all devices.
  """

  def step_with_flags(state, batch, flags: jax.Array):
    state, metrics = step(state, batch)
    return state, metrics, parallel.sum(flags.sum(0))

  return step_with_flags

"""Turns SIGINT and SIGTERM into a request to stop, which the loop acts on after the current step."""

from __future__ import annotations

import logging
import signal

_LOG = logging.getLogger("train")


class PreemptionHandler:
  """While entered, the first SIGINT or SIGTERM sets `stop_requested`; a second one has its usual effect.

  It can be entered again, as after a rollback: a request that was not acted on stays.
  """

  def __init__(self):
    self.stop_requested = False
    self._previous_handlers = {}

  def __enter__(self) -> PreemptionHandler:
    for number in () if self.stop_requested else (signal.SIGINT, signal.SIGTERM):
      self._previous_handlers[number] = signal.signal(number, self._handle)
    return self

  def __exit__(self, *exception) -> None:
    self._restore_handlers()

  def _handle(self, number: int, frame) -> None:
    self.stop_requested = True
    _LOG.warning("%s: saving after this step; once more to stop at once", signal.Signals(number).name)
    self._restore_handlers()

  def _restore_handlers(self) -> None:
    for number, handler in self._previous_handlers.items():
      signal.signal(number, handler)

"""Ctrl-C and SIGTERM as a wish that the loop can grant after the step it is in."""

from __future__ import annotations

import logging
import signal

_LOG = logging.getLogger("train")


class Interruption:
  """While it is entered, the first SIGINT or SIGTERM sets `wanted`; a second one has its usual effect.

  It can be entered again, as after a rollback: a wish that was not granted stays one.
  """

  def __init__(self):
    self.wanted = False
    self._handlers = {}

  def __enter__(self) -> Interruption:
    for number in () if self.wanted else (signal.SIGINT, signal.SIGTERM):
      self._handlers[number] = signal.signal(number, self._receive)
    return self

  def __exit__(self, *exception) -> None:
    self._restore()

  def _receive(self, number: int, frame) -> None:
    self.wanted = True
    _LOG.warning("%s: saving after this step; once more to stop at once", signal.Signals(number).name)
    self._restore()

  def _restore(self) -> None:
    for number, handler in self._handlers.items():
      signal.signal(number, handler)

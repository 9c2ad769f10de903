"""Silences the tracebacks of orbax's and tensorstore's threads, whose errors the caller gets as
exceptions."""

from __future__ import annotations

import functools
import logging
import sys
import threading

from absl import logging as absl_logging


@functools.cache
def silence_threads() -> None:
  """A failed write would print hundreds of lines beside the exception that says the same."""
  main = threading.main_thread()

  def only_main(hook):
    return lambda *error: hook(*error) if threading.current_thread() is main else None

  # Tensorstore reports its errors to one of the two, depending on where they arise.
  sys.excepthook, sys.unraisablehook = only_main(sys.excepthook), only_main(sys.unraisablehook)
  absl_logging.get_absl_logger().addFilter(lambda record: "_SignalingThread" not in str(record.msg))
  # Of a group of tasks, those that fail after the first: asyncio logs them as never retrieved.
  formatter = logging.Formatter()
  logging.getLogger("asyncio").addFilter(lambda record: "orbax" not in formatter.format(record))

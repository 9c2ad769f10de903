"""A download's progress in one line of the terminal."""

from __future__ import annotations

import sys
import time


class Progress:
  """Prints bytes, rate and remaining time to stderr; prints nothing where stderr is not a terminal.

  Attributes:
    done: number of bytes so far.
  """

  def __init__(self, name: str, done: int, total: int | None):
    """Args: name of the file; bytes of an earlier download; bytes of the whole file, if known."""
    self.done = done
    self._name, self._first, self._total = name, done, total
    self._start, self._printed = time.monotonic(), 0.0

  def add(self, count: int) -> None:
    """Counts `count` more bytes, and prints at most five times a second."""
    self.done += count
    if sys.stderr.isatty() and time.monotonic() - self._printed > 0.2:
      self._printed = time.monotonic()
      print(f"\r{self._line()}\033[K", end="", file=sys.stderr, flush=True)

  def close(self) -> None:
    """Prints the last line."""
    if self._printed:
      print(f"\r{self._line()}\033[K", file=sys.stderr)

  def _line(self) -> str:
    rate = (self.done - self._first) / max(time.monotonic() - self._start, 1e-3)
    line = f"{self._name}: {self.done / 1e6:.1f}"
    if self._total:
      line += f" of {self._total / 1e6:.1f} MB, {(self._total - self.done) / max(rate, 1):.0f} s left"
    else:
      line += " MB"
    return f"{line}, {rate / 1e6:.1f} MB/s"

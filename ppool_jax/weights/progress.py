"""The progress of a download, in one line of a terminal."""

from __future__ import annotations

import sys
import time


class Progress:
  """Bytes done, the rate and the time left, on stderr; silent where that is no terminal."""

  def __init__(self, name: str, done: int, total: int | None):
    self.done = done
    self._name, self._first, self._total = name, done, total
    self._begun, self._shown = time.monotonic(), 0.0

  def add(self, count: int):
    self.done += count
    if sys.stderr.isatty() and time.monotonic() - self._shown > 0.2:
      self._shown = time.monotonic()
      print(f"\r{self._line()}\033[K", end="", file=sys.stderr, flush=True)

  def close(self):
    if self._shown:
      print(f"\r{self._line()}\033[K", file=sys.stderr)

  def _line(self) -> str:
    rate = (self.done - self._first) / max(time.monotonic() - self._begun, 1e-3)
    line = f"{self._name}: {self.done / 1e6:.1f}"
    if self._total:
      line += f" of {self._total / 1e6:.1f} MB, {(self._total - self.done) / max(rate, 1):.0f} s left"
    else:
      line += " MB"
    return f"{line}, {rate / 1e6:.1f} MB/s"

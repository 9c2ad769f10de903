"""Progress with a rate and an ETA: a bar on a terminal, a line every ten seconds in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0


class ProgressMeter:
  """Counts finished units of work and displays the progress.

  Args:
    total: number of units.
    name: name of the task, which is displayed.
    unit: unit of the rate, such as "images" for images/s.
    done: number of units that an earlier process has finished.
  """

  def __init__(self, total: int, name: str, unit: str = "it", done: int = 0):
    self._total, self._name, self._unit, self._done = total, name, unit, done
    self._start, self._first, self._line = time.monotonic(), done, time.monotonic()
    self._bar = None
    if (console := Console(stderr=True)).is_terminal:
      columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
      self._bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
      self._task = self._bar.add_task(name, total=total, completed=done, note="")
      self._bar.start()

  @property
  def rate(self) -> float:
    """Units per second since this object was created."""
    return (self._done - self._first) / max(time.monotonic() - self._start, 1e-9)

  def advance(self, units: int = 1, note: str = "") -> None:
    self._done += units
    text = f"{self.rate:.1f} {self._unit}/s  {note}"
    if self._bar:
      self._bar.update(self._task, completed=self._done, note=text)
    elif time.monotonic() - self._line > SECONDS_BETWEEN_LINES:
      self._line = time.monotonic()
      left = (self._total - self._done) / max(self.rate, 1e-9)
      print(f"{self._name} {self._done}/{self._total}  {text}  ETA {format_duration(left)}", flush=True)

  def close(self) -> None:
    if self._bar:
      self._bar.stop()


def track(items: Sequence, name: str, unit: str = "files") -> Iterator:
  """Yields the items and displays the progress."""
  meter = ProgressMeter(len(items), name, unit)
  try:
    for item in items:
      yield item
      meter.advance()
  finally:
    meter.close()


def format_duration(seconds: float) -> str:
  """Formats a duration as h:mm:ss."""
  minutes, seconds = divmod(round(seconds), 60)
  return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"

"""Corrupt examples: an error that identifies them, and a source that substitutes readable ones."""

from __future__ import annotations

import logging

ON_CORRUPT = ("stop", "skip")
_MAX_ATTEMPTS = 100
_LOG = logging.getLogger("train")


class CorruptExampleError(ValueError):
  """A stored example cannot be read or decoded; the message identifies it."""


class SkipCorrupt:
  """A source that returns the next readable example in place of a corrupt one.

  The substitute depends only on the source, so every run and every process gets the same one.

  Args:
    source: random access to examples.

  Each example has the additional key "replaced": 1 if it substitutes a corrupt one, else 0.
  """

  def __init__(self, source):
    self._source, self._logged = source, set()

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, index: int) -> dict:
    attempts, last = min(_MAX_ATTEMPTS, len(self)), None
    for offset in range(attempts):
      candidate = (index + offset) % len(self)
      try:
        return {**self._source[candidate], "replaced": int(offset > 0)}
      except CorruptExampleError as error:
        last = error
        if candidate not in self._logged:
          self._logged.add(candidate)
          _LOG.warning("corrupt example replaced by the next readable one: %s", error)
    raise CorruptExampleError(f"{attempts} consecutive examples are corrupt; the last: {last}") from last


def handle_corrupt(source, on_corrupt: str):
  """Returns `source` itself for "stop", or `SkipCorrupt(source)` for "skip".

  Raises:
    ValueError: `on_corrupt` is neither.
  """
  if on_corrupt not in ON_CORRUPT:
    raise ValueError(f"data.on_corrupt: expected one of {', '.join(ON_CORRUPT)}, got {on_corrupt!r}")
  return SkipCorrupt(source) if on_corrupt == "skip" else source

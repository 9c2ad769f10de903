"""Examples that cannot be read: which one it is, and another one in its place."""

from __future__ import annotations

import logging

ON_CORRUPT = ("stop", "skip")
_TRIES = 100
_LOG = logging.getLogger("train")


class CorruptExample(ValueError):
  """An example that is damaged where it is stored; the message names it."""


class Replacing:
  """A source that gives the next example that is whole in place of one that is damaged.

  Which one depends on the source alone, so every run and process gets the same.

  Args:
    source: random access to examples.

  Examples have "replaced" besides: 1 for one that stands for another, else 0.
  """

  def __init__(self, source):
    self._source, self._told = source, set()

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, index: int) -> dict:
    for away in range(min(_TRIES, len(self))):
      at = (index + away) % len(self)
      try:
        return {**self._source[at], "replaced": int(away > 0)}
      except CorruptExample as error:
        last = error
        if at not in self._told:
          self._told.add(at)
          _LOG.warning("CORRUPT EXAMPLE, another one takes its place: %s", error)
    raise CorruptExample(f"{away + 1} examples in a row are damaged; the last: {last}") from last


def tolerating(source, on_corrupt: str):
  """`source`, or, to "skip" what is damaged, the source that replaces it.

  Raises:
    ValueError: neither "stop" nor "skip".
  """
  if on_corrupt not in ON_CORRUPT:
    raise ValueError(f"data.on_corrupt: expected one of {', '.join(ON_CORRUPT)}, got {on_corrupt!r}")
  return Replacing(source) if on_corrupt == "skip" else source

"""The largest batch that fits, by compiling for it."""

from __future__ import annotations

from collections.abc import Callable


def largest_that_fits(memory_of: Callable[[int], int | None], limit: int, start: int = 1) -> int:
  """The largest batch a chip for which a program fits, 0 if none does.

  Memory grows almost linearly with the batch: the next to try is where a line through the two largest that
  fitted meets the limit, or the middle where the line is of no help. Each compilation takes minutes.

  Args:
    memory_of: bytes of the program of a batch, None where it does not fit.
    limit: bytes, a guide: whether a program fits is for `memory_of` to say.
    start: tried first, then the one after it.
  """
  fitted, beyond, batch = {}, None, start
  while True:
    memory = memory_of(batch)
    if memory is None:
      beyond = batch
    else:
      fitted[batch] = memory
    low = max(fitted, default=0)
    if beyond == low + 1:
      return low
    batch = _line(fitted, limit)
    if beyond is not None and not low < batch < beyond:
      batch = (low + beyond) // 2


def _line(fitted: dict[int, int], limit: int) -> int:
  """Where memory reaches the limit; at least one more than the largest."""
  low, *others = sorted(fitted, reverse=True) or [0]
  if not others:
    return low + 1
  slope = (fitted[low] - fitted[others[0]]) / (low - others[0])
  return max(low + 1, low + int((limit - fitted[low]) / slope)) if slope > 0 else 2 * low

"""The largest batch that fits, by compiling for it."""

from __future__ import annotations

from collections.abc import Callable


def largest_that_fits(memory_of: Callable[[int], int | None], limit: int, start: int = 1) -> int:
  """The largest batch a chip for which a program fits, 0 if none does.

  Memory grows almost linearly with the batch: the next to try is where a line through the two largest that
  fitted meets the limit. Where the line is of no help it is the middle, or further and further beyond.
  Each compilation takes minutes.

  Args:
    memory_of: bytes of the program of a batch, None where it does not fit.
    limit: bytes, a guide: whether a program fits is for `memory_of` to say.
    start: tried first, then the one after it.
  """
  fitted, beyond, batch, stride = {}, None, start, 1
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
    elif batch > low:
      stride = 1
    else:
      batch, stride = low + stride, 2 * stride


def _line(fitted: dict[int, int], limit: int) -> int:
  """Where memory reaches the limit; 0 where there is no line yet, or none that rises."""
  low, second, *_ = (*sorted(fitted, reverse=True), 0, 0)
  slope = fitted[low] - fitted[second] if second else 0
  return low + (low - second) * (limit - fitted[low]) // slope if slope > 0 else 0

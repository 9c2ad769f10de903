"""Finds the largest batch size that fits, by compiling for candidates."""

from __future__ import annotations

from collections.abc import Callable

GROUP = 8
"""A TPU lays arrays out in groups of eight images: nine may need more memory than sixteen."""


def find_largest_batch(fits: Callable[[int], bool], start: int) -> int:
  """The largest batch size per chip that fits, 0 if none does.

  Full groups are tried first; then the sizes between the last full group that fits and the next, from above.

  Args:
    fits: whether a batch size fits. If a number of full groups fits, fewer full groups fit too.
    start: the first candidate, rounded up to full groups; a size that is too large is best.
  """
  full = GROUP * _find_most_groups(lambda groups: fits(GROUP * groups), -(-start // GROUP))
  partial = range(full + GROUP - 1, full, -1)
  return next((batch for batch in partial if fits(batch)), full)


def _find_most_groups(fits: Callable[[int], bool], start: int) -> int:
  """The largest number of groups that fits, found with few candidates that fit.

  The compiler refuses a program in seconds and compiles one in minutes. Therefore `start` is halved until a
  candidate fits, and the search between the bounds prefers candidates that are too large. The memory of a
  program says little about the limit: near it the compiler rematerializes arrays.
  """
  low, high, stride, candidate = 0, None, 1, start
  while high != low + 1:
    if fits(candidate):
      low = candidate
    else:
      high = candidate
    if high is None:
      candidate, stride = low + stride, 2 * stride
    else:
      candidate = max(low + 1, (low + 3 * high) // 4) if low else high // 2
  return low

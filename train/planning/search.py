"""The largest batch that fits, by compiling for it."""

from __future__ import annotations

from collections.abc import Callable

GROUP = 8
"""A TPU lays arrays out in groups of eight images: nine may need more memory than sixteen."""


def largest_that_fits(fits: Callable[[int], bool], start: int) -> int:
  """The largest batch a chip for which a program fits, 0 if none does.

  Full groups first, then what lies between the last that fits and the next, from above.

  Args:
    fits: whether a program fits; fewer full groups fit where more do.
    start: tried first, rounded up to full groups, best something too large.
  """
  full = GROUP * _most_groups(lambda groups: fits(GROUP * groups), -(-start // GROUP))
  between = range(full + GROUP - 1, full, -1)
  return next((batch for batch in between if fits(batch)), full)


def _most_groups(fits: Callable[[int], bool], start: int) -> int:
  """The largest number that fits, by few that do: the compiler refuses in seconds and compiles in minutes.

  From `start` by halves until one fits, then to the next that does not, in steps that favour what is too
  large. Memory itself says little: near the limit the compiler computes again what it kept before.
  """
  low, beyond, stride, number = 0, None, 1, start
  while beyond != low + 1:
    if fits(number):
      low = number
    else:
      beyond = number
    if beyond is None:
      number, stride = low + stride, 2 * stride
    else:
      number = max(low + 1, (low + 3 * beyond) // 4) if low else beyond // 2
  return low

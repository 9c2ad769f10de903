"""The largest batch that fits, by compiling for it."""

from __future__ import annotations

from collections.abc import Callable


def largest_that_fits(fits: Callable[[int], bool], start: int) -> int:
  """The largest batch a chip for which a program fits, 0 if none does.

  The compiler refuses in seconds and compiles in minutes, so this comes from above: from `start` by halves
  until one fits, then to the next that does not, in steps that favour what is too large. Memory itself says
  little: near the limit the compiler computes again what it kept before.

  Args:
    fits: whether a program fits; fewer images fit where more do.
    start: tried first, best something too large.
  """
  low, beyond, stride, batch = 0, None, 1, start
  while beyond != low + 1:
    if fits(batch):
      low = batch
    else:
      beyond = batch
    if beyond is None:
      batch, stride = low + stride, 2 * stride
    else:
      batch = max(low + 1, (low + 3 * beyond) // 4) if low else beyond // 2
  return low

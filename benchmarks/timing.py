"""Times compiled programs side by side in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from rich.progress import track


def interleaved(programs: dict[str, Callable], rounds: int, repeats: int = 3) -> dict[str, dict]:
  """Runs every program once per round, so that all run under the same load.

  A round then calls each program `repeats` more times. The first call is reported separately: it includes the
  allocation of memory that was freed after another program's larger buffers.

  Args:
    programs: name -> callable that returns when its work is done.
    rounds: how often all programs run.
    repeats: timed calls per round, after the first.

  Returns:
    name -> {"ms": median, "first_ms": median of first calls, "min_ms": shortest}.
  """
  first, steady = ({name: [] for name in programs} for _ in range(2))
  for program in programs.values():
    program()
  for _ in track(range(rounds), description="timing"):
    for name, program in programs.items():
      first[name].append(_milliseconds(program))
      steady[name] += [_milliseconds(program) for _ in range(repeats)]
  return {
    name: {
      "ms": statistics.median(steady[name]),
      "first_ms": statistics.median(first[name]),
      "min_ms": min(steady[name]),
    }
    for name in programs
  }


def _milliseconds(program: Callable) -> float:
  start = time.perf_counter()
  program()
  return 1e3 * (time.perf_counter() - start)

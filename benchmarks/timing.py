"""Times compiled programs side by side in one process."""

from __future__ import annotations

import os
import pathlib
import platform
import statistics
import subprocess
import time
from collections.abc import Callable

import jax
from rich.progress import track

from train.json_files import write_json


def interleaved(programs: dict[str, Callable], rounds: int, repeats: int = 3) -> dict[str, dict]:
  """Runs every program once a round, so that all meet the same machine.

  A round calls each program `repeats` times more. Its first call is kept apart: it also pays for
  memory that the allocator gave back after another program's larger buffers.

  Args:
    programs: name -> callable that returns when its work is done.
    rounds: how often all are visited.
    repeats: timed calls a visit, after the first.

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


def machine() -> dict[str, str | int]:
  """What the figures were measured on."""
  device = jax.devices()[0]
  return {
    "device": device.device_kind if device.platform != "cpu" else _cpu_model(),
    "platform": device.platform,
    "cores": os.cpu_count() or 0,
    "python": platform.python_version(),
    "jax": jax.__version__,
  }


def keep(report: dict, path: pathlib.Path) -> None:
  """Writes a result file, and its folder if there is none."""
  path.parent.mkdir(parents=True, exist_ok=True)
  write_json(path, report)


def _cpu_model() -> str:
  lines = subprocess.run(["lscpu"], capture_output=True, text=True, check=False).stdout.splitlines()
  models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("Model name")]
  return models[0] if models else platform.machine()

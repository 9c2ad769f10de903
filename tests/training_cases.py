"""A training small enough for tests: vgg_mini on scenes of 32x48, some seconds in all."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from train.config import load

ROOT = pathlib.Path(__file__).parents[1]
OVERRIDES = {
  "steps": 6,
  "batch": 8,
  "data.crop": (32, 48),
  "data.options.train": 12,
  "data.options.val": 5,
  "data.options.size": (32, 48),
  "log.every": 1,
  "eval.batch": 3,
  "checkpoint.seconds": 0.0,
  "checkpoint.every": 2,
}


def tiny_config(arg: str = "runlocal", **overrides):
  """configs/quickstart.py, made tiny; overrides as "data__crop" for data.crop."""
  config = load(f"{ROOT / 'configs/quickstart.py'}:{arg}")
  changes = {**OVERRIDES, **{key.replace("__", "."): value for key, value in overrides.items()}}
  config.update_from_flattened_dict(changes)
  return config


def program(arguments: list[str], largest_file: int | None = None, **environment: str) -> subprocess.Popen:
  """python -m train with one CPU device and the tests' compilation cache.

  Args:
    largest_file: bytes; writing more fails, as on a full disk.
  """
  env = {
    **os.environ,
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "",
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    "PYTHONPATH": str(ROOT),
    **environment,
  }
  command = [sys.executable, "-m", *arguments]
  if largest_file:
    command = ["bash", "-c", f'ulimit -f {largest_file // 1024}; exec "$@"', "limited", *command]
  return subprocess.Popen(
    command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
  )


def run(arguments: list[str], largest_file: int | None = None, **environment: str) -> tuple[int, str]:
  """Exit status and output of `program`."""
  process = program(arguments, largest_file, **environment)
  output, _ = process.communicate(timeout=300)
  return process.returncode, output

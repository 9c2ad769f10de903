"""Compiles faster, to code that is slower and rounds a little differently."""

from __future__ import annotations

import jax
from jax._src import compiler

# Without LLVM's optimizations, and by the emitters of fusions that compile faster.
OPTIONS = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
FLAGS = " ".join(f"--{name}={str(value).lower()}" for name, value in OPTIONS.items())

_get_compile_options = compiler.get_compile_options


def _quick_options(*args, env_options_overrides=None, **kwargs):
  overrides = {**OPTIONS, **(env_options_overrides or {})}
  return _get_compile_options(*args, env_options_overrides=overrides, **kwargs)


def enabled() -> bool:
  return compiler.get_compile_options is _quick_options


def flags() -> str:
  """XLA_FLAGS of a program that a test starts: compiled as the test's own process compiles."""
  return FLAGS if enabled() else ""


def enable(on: bool) -> None:
  """Switches this process; what was compiled quickly is forgotten when it is switched off."""
  if enabled() and not on:
    jax.clear_caches()
  compiler.get_compile_options = _quick_options if on else _get_compile_options

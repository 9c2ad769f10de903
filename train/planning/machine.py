"""Describes the machine of a measurement, for its result file."""

from __future__ import annotations

import os
import platform
import subprocess

import jax


def describe_machine() -> dict[str, str | int]:
  """The first device, the cores, and the versions of Python and JAX; starts the backend."""
  device = jax.devices()[0]
  return {
    "device": device.device_kind if device.platform != "cpu" else _cpu_model(),
    "platform": device.platform,
    "cores": os.cpu_count() or 0,
    "python": platform.python_version(),
    "jax": jax.__version__,
  }


def _cpu_model() -> str:
  lines = subprocess.run(["lscpu"], capture_output=True, text=True, check=False).stdout.splitlines()
  models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("Model name")]
  return models[0] if models else platform.machine()

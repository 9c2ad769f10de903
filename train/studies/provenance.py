"""Collects the provenance of a result: code, versions, machine and the last alpha statistics."""

from __future__ import annotations

import importlib
import pathlib
import platform
import re
import subprocess

import jax

from ppool_jax.utils.files import file_digest
from train.loop.metric_writer import read_metrics
from train.loop.setup import code_sha256


def collect_provenance(workdir: pathlib.Path, config: dict) -> dict:
  """The provenance that is stored with a result.

  Args:
    workdir: workdir of the training.
    config: config of the training.
  """
  lines = [line for line in read_metrics(workdir) if any(key.startswith("alpha/") for key in line)]
  alpha = {key: value for key, value in lines[-1].items() if key.startswith("alpha/")} if lines else {}
  weights = config["model"]["weights"]
  return {
    "commit": _git_commit(),
    "code": code_sha256(),
    "modules": _hash_custom_modules(config),
    "weights": file_digest(weights, "sha256") if weights else None,
    "jax": jax.__version__,
    "python": platform.python_version(),
    "device": jax.devices()[0].device_kind,
    "devices": jax.device_count(),
    "alpha": alpha,
  }


def _hash_custom_modules(config: dict) -> dict[str, str]:
  """SHA-256 digests of the modules of custom pools and alpha sources ("module:Class"), by module name."""
  specs = [config["pool"], config["pool_rest"], config["alpha"].get("name", ""), *config["pool_stages"]]
  names = sorted({name for spec in specs for name in re.findall(r"([A-Za-z_][\w.]*):[A-Za-z_]\w*", spec)})
  digests = {}
  for name in names:
    try:
      module = importlib.import_module(name)
    except ImportError:  # "pool1:ppool" is a stage with its pool, not a module
      continue
    if module.__file__:
      digests[name] = file_digest(module.__file__, "sha256")
  return digests


def _git_commit() -> str | None:
  """The commit that is checked out; None outside of a clone."""
  folder = pathlib.Path(__file__).parent
  command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
  try:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
  except (OSError, subprocess.CalledProcessError):
    return None

"""How a result was made: code, versions, machine, the last statistics of alpha."""

from __future__ import annotations

import hashlib
import importlib
import pathlib
import platform
import re
import subprocess

import jax

from train.loop.metric_writer import read_metrics
from train.loop.setup import code_sha256


def details(workdir: pathlib.Path, config: dict) -> dict:
  """What a result keeps of how it was made.

  Args:
    workdir: of the training.
    config: of the training.
  """
  lines = [line for line in read_metrics(workdir) if any(key.startswith("alpha/") for key in line)]
  alpha = {key: value for key, value in lines[-1].items() if key.startswith("alpha/")} if lines else {}
  weights = config["model"]["weights"]
  return {
    "commit": _commit(),
    "code": code_sha256(),
    "modules": _modules(config),
    "weights": _sha256(pathlib.Path(weights)) if weights else None,
    "jax": jax.__version__,
    "python": platform.python_version(),
    "device": jax.devices()[0].device_kind,
    "devices": jax.device_count(),
    "alpha": alpha,
  }


def _modules(config: dict) -> dict[str, str]:
  """SHA-256 of the files of the user's own pools and alpha sources, "module:object", by module."""
  specs = [config["pool"], config["pool_rest"], config["alpha"].get("name", ""), *config["pool_stages"]]
  names = sorted({name for spec in specs for name in re.findall(r"([A-Za-z_][\w.]*):[A-Za-z_]\w*", spec)})
  found = {}
  for name in names:
    try:
      module = importlib.import_module(name)
    except ImportError:  # "pool1:ppool" is a stage and its pool
      continue
    found[name] = _sha256(pathlib.Path(module.__file__))
  return found


def _sha256(path: pathlib.Path) -> str:
  with path.open("rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _commit() -> str | None:
  """The commit that is checked out; None where this is no clone."""
  folder = pathlib.Path(__file__).parent
  command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
  try:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
  except (OSError, subprocess.CalledProcessError):
    return None

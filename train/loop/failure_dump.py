"""What is kept of a step that was held: WORKDIR/evidence/STEP-batch-INDEX/."""

from __future__ import annotations

import math
import pathlib
import shutil

import numpy as np
from jax.experimental import multihost_utils

from train.checkpointing.checkpoint import params_sha256
from train.distributed import multihost
from train.utils.json_files import write_json


def keep(folder: pathlib.Path, batch: dict, state, report: dict) -> None:
  """Writes batch.npz and report.json, both or nothing; leaves a folder that is there as it is.

  Args:
    folder: to make.
    batch: {"image", "label"} of this process; those of all processes are kept.
    state: whose parameters the report is about; their `params_sha256` is added to it.
    report: anything that JSON knows; numbers that are not finite are written as strings.
  """
  arrays = multihost_utils.process_allgather({k: batch[k] for k in ("image", "label")}, tiled=True)
  report = {**report, "params_sha256": params_sha256(state.params)}
  multihost.on_first(_write, folder, arrays, report)


def _write(folder: pathlib.Path, arrays: dict, report: dict) -> None:
  if folder.exists():
    return
  draft = folder.with_name(f"{folder.name}.tmp")
  shutil.rmtree(draft, ignore_errors=True)
  draft.mkdir(parents=True)
  np.savez_compressed(draft / "batch.npz", **arrays)
  write_json(draft / "report.json", _finite(report))
  draft.rename(folder)


def _finite(value):
  """As strict JSON has it: "nan" and "inf" are words."""
  if isinstance(value, dict):
    return {key: _finite(one) for key, one in value.items()}
  if isinstance(value, list | tuple):
    return [_finite(one) for one in value]
  return str(value) if isinstance(value, float) and not math.isfinite(value) else value

"""Writes the batch and a report of a rejected step to WORKDIR/failure_dumps/STEP-batch-INDEX/."""

from __future__ import annotations

import math
import pathlib
import shutil

import numpy as np
from jax.experimental import multihost_utils

from train.checkpointing.digests import params_sha256
from train.distributed import multihost
from train.utils.json_files import write_json


def dump(folder: pathlib.Path, batch: dict, state, report: dict) -> None:
  """Writes batch.npz and report.json, both or neither; an existing folder is left as it is.

  Args:
    folder: to create.
    batch: {"image", "label"} of this process; those of all processes are written.
    state: whose parameters the report is about; their `params_sha256` is added to the report.
    report: JSON values; numbers that are not finite are written as strings.
  """
  arrays = multihost_utils.process_allgather({k: batch[k] for k in ("image", "label")}, tiled=True)
  report = {**report, "params_sha256": params_sha256(state.params)}
  multihost.on_primary(_write, folder, arrays, report)


def _write(folder: pathlib.Path, arrays: dict, report: dict) -> None:
  if folder.exists():
    return
  draft = folder.with_name(f"{folder.name}.tmp")
  shutil.rmtree(draft, ignore_errors=True)
  draft.mkdir(parents=True)
  np.savez_compressed(draft / "batch.npz", **arrays)
  write_json(draft / "report.json", _replace_non_finite(report))
  draft.rename(folder)


def _replace_non_finite(value):
  """Strict JSON has no NaN and no infinity: they become strings."""
  if isinstance(value, dict):
    return {key: _replace_non_finite(item) for key, item in value.items()}
  if isinstance(value, list | tuple):
    return [_replace_non_finite(item) for item in value]
  return str(value) if isinstance(value, float) and not math.isfinite(value) else value

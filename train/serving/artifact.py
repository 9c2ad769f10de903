"""The files of an exported model, and the comparison of its predictions with the checkpoint's."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import shutil
from typing import Any

import flax
import jax
import jaxlib
import numpy as np
from jax import export as jax_export

from train.checkpointing.digests import params_sha256
from train.evaluation.predictor import Predictor
from train.experiment.run import Run
from train.serving import example
from train.utils.json_files import write_json

MIN_AGREEMENT = 0.999
"""Share of pixels whose classes must equal the checkpoint's; rounding may change a few."""

_COMPARED_SIZES = ((64, 96), (75, 110))


def write_artifact(folder: pathlib.Path, run: Run, exported: jax_export.Exported) -> None:
  """Writes all files but model.json.

  The variables are an input of the model: constants would be copied into the program of every image size.
  """
  (folder / "model.jaxexport").write_bytes(exported.serialize())
  flat: dict[str, Any] = dict(flax.traverse_util.flatten_dict(jax.device_get(run.variables), sep="/"))
  np.savez(folder / "variables.npz", **flat)
  write_json(folder / "preprocess.json", run.experiment.preprocess.as_dict())
  write_json(folder / "classes.json", [dataclasses.asdict(row) for row in run.experiment.table.classes])
  shutil.copyfile(example.__file__, folder / "predict.py")


def describe_artifact(run: Run, exported: jax_export.Exported, output: str) -> dict:
  """The contents of model.json, without the agreement."""
  images, classes = exported.in_avals[-1], "row i of classes.json is class i"
  return {
    "network": run.config.model.name,
    "step": run.step,
    "params_sha256": params_sha256(run.variables["params"]),
    "call": "model.jaxexport of (arrays of variables.npz by name, images) -> output",
    "images": {**_describe_array(images), "values": "RGB, 0..255; the model applies preprocess.json"},
    "output": {
      **_describe_array(exported.out_avals[0]),
      "values": f"{output}; {classes}",
    },
    "sizes": _describe_sizes(run, images.shape),
    "platforms": list(exported.platforms),
    "jax": jax.__version__,
    "jaxlib": jaxlib.__version__,
    "calling_convention_version": exported.calling_convention_version,
    "readable": "by jax from 3 weeks older to 6 months newer than this one (the guarantee of jax.export); "
    "for others export the checkpoint again",
    "exported": datetime.date.today().isoformat(),
    "config": run.config.to_dict(),
  }


def _describe_array(aval) -> dict:
  shape = [side if isinstance(side, int) else str(side) for side in aval.shape]
  return {"dtype": str(aval.dtype), "shape": shape}


def _describe_sizes(run: Run, shape) -> str:
  if isinstance(shape[1], int):
    return f"{shape[1]}x{shape[2]}"
  multiple = run.experiment.model.backbone.size_divisor
  return (
    f"any; a side that is no multiple of {multiple} is padded below and on the right with the mean color, "
    "and the output is cropped, inside the model"
  )


def measure_agreement(folder: pathlib.Path, run: Run, exported, fixed: tuple[int, int] | None) -> dict | None:
  """Reads the model in `folder` and compares its classes with the checkpoint's on random images.

  Returns:
    "pixels", how many were compared, and "equal", the share of equal classes; None if this machine is none of
    the model's platforms.

  Raises:
    ValueError: the share is below `MIN_AGREEMENT`.
  """
  if jax_export.default_export_platform() not in exported.platforms:
    return None
  model = jax_export.deserialize(bytearray((folder / "model.jaxexport").read_bytes()))
  variables = dict(np.load(folder / "variables.npz"))
  call, predictor, rng = jax.jit(model.call), Predictor(run.experiment, run.config), np.random.default_rng(0)
  pixels = equal = 0
  for size in [fixed] if fixed else _COMPARED_SIZES:
    images = rng.integers(0, 256, (2, *size, 3), np.uint8)
    output = np.asarray(call(variables, images))
    classes = output if output.ndim == 3 else output.argmax(-1)
    expected = predictor(run.variables, images)
    pixels, equal = pixels + expected.size, equal + int((classes == expected).sum())
  if equal < MIN_AGREEMENT * pixels:
    raise ValueError(
      f"the exported model's classes differ from the checkpoint's at {pixels - equal} of {pixels} pixels: "
      "nothing was written"
    )
  return {"pixels": pixels, "equal": equal / pixels}

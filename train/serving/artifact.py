"""What lies in the folder of an exported model, and whether it predicts as the checkpoint does."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import shutil

import flax
import jax
import jaxlib
import numpy as np
from jax import export as jax_export

from train.checkpointing.checkpoint import params_sha256
from train.evaluation.predictor import Predictor
from train.experiment.run import Run
from train.serving import example
from train.utils.json_files import write_json

LEAST_AGREEMENT = 0.999
"""Share of pixels whose classes must be the checkpoint's: rounding may decide a few."""

_COMPARED = ((64, 96), (75, 110))


def write(folder: pathlib.Path, run: Run, exported: jax_export.Exported) -> None:
  """Everything but model.json.

  Variables are an input of the model, beside it: as its constants they would be in every program that is
  compiled for a size of images.
  """
  (folder / "model.jaxexport").write_bytes(exported.serialize())
  flat = flax.traverse_util.flatten_dict(jax.device_get(run.variables), sep="/")
  np.savez(folder / "variables.npz", **flat)
  write_json(folder / "preprocess.json", run.experiment.preprocess.as_dict())
  write_json(folder / "classes.json", [dataclasses.asdict(row) for row in run.experiment.table.classes])
  shutil.copyfile(example.__file__, folder / "predict.py")


def describe(run: Run, exported: jax_export.Exported, output: str) -> dict:
  """What model.json says of the model."""
  images = exported.in_avals[-1]
  return {
    "network": run.config.model.name,
    "step": run.step,
    "params_sha256": params_sha256(run.variables["params"]),
    "call": "model.jaxexport of (arrays of variables.npz by name, images) -> output",
    "images": {**_array(images), "values": "RGB, 0..255; preprocess.json is done inside"},
    "output": {**_array(exported.out_avals[0]), "values": f"{output}; row i of classes.json is class i"},
    "sizes": _sizes(run, images.shape),
    "platforms": list(exported.platforms),
    "jax": jax.__version__,
    "jaxlib": jaxlib.__version__,
    "calling_convention_version": exported.calling_convention_version,
    "readable": "by jax from 3 weeks older to 6 months newer than this one (the guarantee of jax.export); "
    "for others export the checkpoint again",
    "exported": datetime.date.today().isoformat(),
    "config": run.config.to_dict(),
  }


def _array(aval) -> dict:
  shape = [side if isinstance(side, int) else str(side) for side in aval.shape]
  return {"dtype": str(aval.dtype), "shape": shape}


def _sizes(run: Run, shape) -> str:
  if isinstance(shape[1], int):
    return f"{shape[1]}x{shape[2]}"
  multiple = run.experiment.model.backbone.size_divisor
  return (
    f"any; a side that is no multiple of {multiple} is padded below and on the right with the mean colour, "
    "and the output cropped, inside the model"
  )


def agreement(folder: pathlib.Path, run: Run, exported, fixed: tuple[int, int] | None) -> dict | None:
  """How far the model in `folder`, read again, has the classes that the checkpoint has in random images.

  Returns:
    "pixels", compared, and "equal", the share; None where this machine is none of the model's platforms.

  Raises:
    ValueError: the share is below `LEAST_AGREEMENT`.
  """
  if jax_export.default_export_platform() not in exported.platforms:
    return None
  model = jax_export.deserialize(bytearray((folder / "model.jaxexport").read_bytes()))
  variables = dict(np.load(folder / "variables.npz"))
  call, predict, draw = jax.jit(model.call), Predictor(run.experiment, run.config), np.random.default_rng(0)
  pixels = equal = 0
  for size in [fixed] if fixed else _COMPARED:
    images = draw.integers(0, 256, (2, *size, 3), np.uint8)
    output = np.asarray(call(variables, images))
    classes = output if output.ndim == 3 else output.argmax(-1)
    expected = predict(run.variables, images)
    pixels, equal = pixels + expected.size, equal + int((classes == expected).sum())
  if equal < LEAST_AGREEMENT * pixels:
    raise ValueError(
      f"the exported model has other classes than the checkpoint at {pixels - equal} of {pixels} pixels: "
      "nothing was written"
    )
  return {"pixels": pixels, "equal": equal / pixels}

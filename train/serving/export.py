"""Exports a run's checkpoint as a folder that predicts without this project."""

from __future__ import annotations

import os
import pathlib
import shutil

from train.experiment.run import open_run
from train.serving.artifact import describe_artifact, measure_agreement, write_artifact
from train.serving.lowering import lower_model
from train.utils.json_files import write_json

OUTPUTS = ("classes", "probabilities")
PLATFORMS = ("cpu", "cuda", "tpu")


def export(
  workdir: pathlib.Path,
  out: pathlib.Path | None = None,
  step: int | None = None,
  output: str = "classes",
  platforms: tuple[str, ...] = PLATFORMS,
  fixed: tuple[int, int] | None = None,
) -> dict:
  """Writes model.jaxexport, variables.npz, classes.json, preprocess.json, model.json and predict.py.

  The model takes uint8 RGB images of any number and size and predicts as the run's `config.eval` says (except
  for `pad_multiple`, which only evaluation uses). The files are written to a temporary folder, read back and
  compared with the checkpoint before they appear in `out`.

  Args:
    workdir: of the run.
    out: the folder; it may exist if it is empty. None: "export" in the workdir.
    step: the checkpoint; None: the newest.
    output: "classes", uint8 `[b, h, w]`, or "probabilities", float32 `[b, h, w, K]`.
    platforms: JAX's names of them.
    fixed: (height, width) of all images; None: any size.

  Returns:
    The contents of model.json.

  Raises:
    FileNotFoundError, ValueError: no run, no such checkpoint, an `out` that is not empty; several scales or
      windows without a fixed size; predictions that differ from the checkpoint's.
  """
  out = pathlib.Path(workdir, "export") if out is None else pathlib.Path(out)
  if out.exists() and (not out.is_dir() or any(out.iterdir())):
    raise ValueError(f"--out {out}: expected a new or an empty folder, but it is not empty")
  run = open_run(workdir, step)
  run.config.eval.pad_multiple = 0
  exported = lower_model(run, output, platforms, fixed)
  folder = out.resolve()
  temporary = folder.with_name(f"{folder.name}.part-{os.getpid()}")
  temporary.mkdir(parents=True)
  try:
    write_artifact(temporary, run, exported)
    agreement = measure_agreement(temporary, run, exported, fixed)
    description = {**describe_artifact(run, exported, output), "agreement": agreement}
    write_json(temporary / "model.json", description)
    _publish(temporary, folder)
  finally:
    shutil.rmtree(temporary, ignore_errors=True)
  print(f"{out}: step {run.step} for {', '.join(platforms)}; {_format_agreement(agreement)}")
  return description


def _publish(temporary: pathlib.Path, folder: pathlib.Path) -> None:
  if folder.exists():
    # An existing folder may be a mount or a working directory, which a rename would not replace.
    shutil.copytree(temporary, folder, dirs_exist_ok=True)
  else:
    temporary.replace(folder)


def _format_agreement(agreement: dict | None) -> str:
  if agreement is None:
    return "not compared with the checkpoint: this machine is none of these platforms"
  return f"{agreement['equal']:.4%} of {agreement['pixels']} pixels have the checkpoint's classes"

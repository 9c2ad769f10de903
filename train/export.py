"""A run's checkpoint as a folder that predicts without this project, on CPU, GPU and TPU.

python -m train.export --workdir DIR [--out DIR] [--output probabilities] [--fixed 512x1024]
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil

import flax
import jax
import jax.numpy as jnp
from jax import export as jax_export

from ppool_jax.utils.arguments import parse_size
from train.evaluation.tta import apply_tta, make_classify_fn, make_predict_fn
from train.experiment.run import Run, open_run
from train.serving.artifact import agreement, describe, write
from train.utils.errors import report_errors
from train.utils.json_files import write_json

OUTPUTS = ("classes", "probabilities")
PLATFORMS = ("cpu", "cuda", "tpu")


def main() -> None:
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser("python -m train.export", description=__doc__, formatter_class=raw)
  parser.add_argument("--workdir", required=True, type=pathlib.Path, help="of the training")
  parser.add_argument("--out", type=pathlib.Path, help="new or empty folder (default: WORKDIR/export)")
  parser.add_argument("--step", type=int, help="checkpoint to use (default: the newest)")
  output = "what it returns: uint8 [b, h, w] or float32 [b, h, w, classes] (default: classes)"
  parser.add_argument("--output", choices=OUTPUTS, default="classes", help=output)
  platforms = f"what it runs on, here or not: of {', '.join(PLATFORMS)}, rocm (default: the first three)"
  parser.add_argument("--platforms", nargs="+", choices=(*PLATFORMS, "rocm"), default=PLATFORMS, metavar="P",
                      help=platforms)  # fmt: skip
  fixed = "images of this size only, as a config with eval.scales or eval.window needs (default: any size)"
  parser.add_argument("--fixed", type=parse_size, metavar="HxW", help=fixed)
  with report_errors():
    export(**vars(parser.parse_args()))


def export(
  workdir: pathlib.Path,
  out: pathlib.Path | None = None,
  step: int | None = None,
  output: str = "classes",
  platforms: tuple[str, ...] = PLATFORMS,
  fixed: tuple[int, int] | None = None,
) -> dict:
  """Writes model.jaxexport, variables.npz, classes.json, preprocess.json, model.json and predict.py.

  The model takes uint8 RGB images of any number and size and predicts as the run's `config.eval` says (but
  for `pad_multiple`, which only evaluation uses). The folder appears when what was written has been read
  again and compared with the checkpoint.

  Args:
    workdir: of the training.
    out: the folder; it may exist if it is empty. None: "export" in the workdir.
    step: the checkpoint; None: the newest.
    output: "classes", uint8 `[b, h, w]`, or "probabilities", float32 `[b, h, w, K]`.
    platforms: names that JAX has for them.
    fixed: (height, width), if images of this size only.

  Returns:
    What model.json says.

  Raises:
    FileNotFoundError, ValueError: no run, no such checkpoint, an `out` that holds something; several scales
      or windows without a fixed size; predictions that are not the checkpoint's.
  """
  out = pathlib.Path(workdir, "export") if out is None else pathlib.Path(out)
  if out.exists() and (not out.is_dir() or any(out.iterdir())):
    raise ValueError(f"--out {out}: expected a new or an empty folder, but it holds something")
  run = open_run(workdir, step)
  run.config.eval.pad_multiple = 0
  exported = lower(run, output, platforms, fixed)
  folder = out.resolve()
  draft = folder.with_name(f"{folder.name}.part-{os.getpid()}")
  draft.mkdir(parents=True)
  try:
    write(draft, run, exported)
    about = {**describe(run, exported, output), "agreement": agreement(draft, run, exported, fixed)}
    write_json(draft / "model.json", about)
    _publish(draft, folder)
  finally:
    shutil.rmtree(draft, ignore_errors=True)
  print(f"{out}: step {run.step} for {', '.join(platforms)}; {_agreed(about['agreement'])}")
  return about


def _publish(draft: pathlib.Path, folder: pathlib.Path) -> None:
  if folder.exists():
    # It may be a mount or somebody's working directory, which a renamed folder would not become.
    shutil.copytree(draft, folder, dirs_exist_ok=True)
  else:
    draft.replace(folder)


def lower(
  run: Run, output: str, platforms: tuple[str, ...], fixed: tuple[int, int] | None
) -> jax_export.Exported:
  """The function `(variables by path, uint8 images [b, h, w, 3]) -> output` as StableHLO.

  Raises:
    ValueError: as `export`.
  """
  ways = run.config.eval
  if not fixed and (tuple(ways.scales) != (1.0,) or any((*ways.window, *ways.stride))):
    raise ValueError("eval.scales and eval.window of this run's config need images of one size: --fixed HxW")
  if fixed and min(fixed) < 1:
    raise ValueError(f"--fixed: expected positive sides, got {fixed[0]}x{fixed[1]}")
  function = _function(run, output)

  def predict(variables, images):
    return function(flax.traverse_util.unflatten_dict(variables, sep="/"), images)

  flat = flax.traverse_util.flatten_dict(run.variables, sep="/")
  variables = {path: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for path, leaf in flat.items()}
  height, width = fixed or ("h", "w")
  shape = jax_export.symbolic_shape(f"b, {height}, {width}, 3")
  frames = jax.config.jax_traceback_in_locations_limit
  jax.config.update("jax_traceback_in_locations_limit", 0)  # paths of this machine are nobody's business
  try:
    images = jax.ShapeDtypeStruct(shape, jnp.uint8)
    return jax_export.export(jax.jit(predict), platforms=tuple(platforms))(variables, images)
  finally:
    jax.config.update("jax_traceback_in_locations_limit", frames)


def _function(run: Run, output: str):
  if output == "classes":
    return make_classify_fn(run.experiment, run.config)
  return apply_tta(make_predict_fn(run.experiment), run.config, run.experiment.preprocess.mean_rgb)


def _agreed(agreement: dict | None) -> str:
  if agreement is None:
    return "not compared with the checkpoint: this machine is none of them"
  return f"{agreement['equal']:.4%} of {agreement['pixels']} pixels have the checkpoint's classes"


if __name__ == "__main__":
  main()

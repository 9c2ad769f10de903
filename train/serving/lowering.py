"""Lowers a run's prediction function to StableHLO that serves any batch size and image size."""

from __future__ import annotations

from typing import Any

import flax
import jax
import jax.numpy as jnp
from jax import export as jax_export

from train.evaluation.sliding_window import PredictFn
from train.evaluation.tta import apply_tta, make_classify_fn, make_predict_fn
from train.experiment.run import Run


def lower_model(
  run: Run, output: str, platforms: tuple[str, ...], fixed: tuple[int, int] | None
) -> jax_export.Exported:
  """Lowers the function `(variables by path, uint8 images [b, h, w, 3]) -> output`.

  Args:
    output, platforms, fixed: as of `train.serving.export.export`.

  Raises:
    ValueError: as `export`.
  """
  _check_fixed_size(run, fixed)
  output_fn = _make_output_fn(run, output)

  def predict(variables, images):
    return output_fn(flax.traverse_util.unflatten_dict(variables, sep="/"), images)

  flat: dict[str, Any] = dict(flax.traverse_util.flatten_dict(run.variables, sep="/"))
  variables = {path: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for path, leaf in flat.items()}
  height, width = fixed or ("h", "w")
  shape = jax_export.symbolic_shape(f"b, {height}, {width}, 3")
  limit = jax.config.values["jax_traceback_in_locations_limit"]
  jax.config.update("jax_traceback_in_locations_limit", 0)  # no paths of this machine in the artifact
  try:
    images = jax.ShapeDtypeStruct(shape, jnp.uint8)
    return jax_export.export(jax.jit(predict), platforms=tuple(platforms))(variables, images)
  finally:
    jax.config.update("jax_traceback_in_locations_limit", limit)


def _check_fixed_size(run: Run, fixed: tuple[int, int] | None) -> None:
  config = run.config.eval
  if not fixed and (tuple(config.scales) != (1.0,) or any((*config.window, *config.stride))):
    raise ValueError("eval.scales and eval.window of this run's config need images of one size: --fixed HxW")
  if fixed and min(fixed) < 1:
    raise ValueError(f"--fixed: expected positive sides, got {fixed[0]}x{fixed[1]}")


def _make_output_fn(run: Run, output: str) -> PredictFn:
  if output == "classes":
    return make_classify_fn(run.experiment, run.config)
  return apply_tta(make_predict_fn(run.experiment), run.config, run.experiment.preprocess.mean_rgb)

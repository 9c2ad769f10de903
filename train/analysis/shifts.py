"""Measures how much features change with each pooling when the image moves by one pixel."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ppool_jax.models.pool_slots import resolve_pool
from train.analysis.observe import merge_pool_phases
from train.analysis.units import Unit
from train.experiment.experiment import Experiment
from train.step.alpha_stats import crop

POOLINGS = ("avg", "max", "ppool")


class ShiftSensitivity:
  """A function `(variables, uint8 image [H, W, 3]) -> {pooling: {unit: change}}`.

  The change of a unit's output f is ||f(shifted image) - f(image)|| / ||f(image)||, as root mean square over
  one shift to the right and one down. The shifted images are crops of one image, so no pixels are made up.
  Their sides are multiples of the network's stride if the image is large enough. "avg" and "max" replace all
  P-pooling units; the other parameters are those that were trained with P-pooling.
  """

  def __init__(self, experiment: Experiment, units: Mapping[str, Unit]):
    self._units, self._experiment = units, experiment
    models = {pooling: replace_pools(experiment.model, units, pooling) for pooling in POOLINGS}
    self._compiled = {
      pooling: jax.jit(functools.partial(self._changes, model)) for pooling, model in models.items()
    }

  def __call__(self, variables, image: np.ndarray) -> dict[str, dict[str, float]]:
    images = crop_shifted(image, self._experiment.model.backbone.size_divisor)
    return {
      pooling: {unit: float(change) for unit, change in jax.device_get(run(variables, images)).items()}
      for pooling, run in self._compiled.items()
    }

  def _changes(self, model, variables, images) -> dict[str, jax.Array]:
    changes = {}
    for unit, y in jax.vmap(lambda image: self._outputs(model, variables, image))(images).items():
      still, *others = y
      squares = [jnp.sum((other - still) ** 2) for other in others]
      changes[unit] = jnp.sqrt(sum(squares) / len(squares) / jnp.sum(still**2))
    return changes

  def _outputs(self, model, variables, image) -> dict[str, jax.Array]:
    """The outputs of the units, float32 `[1, h, w, C]`, by name."""
    outputs, multiple = {}, model.backbone.size_divisor

    def watch(next_call, args, kwargs, context):
      y = next_call(*args, **kwargs)
      if context.method_name == "__call__" and context.module.name in self._units:
        unit = self._units[context.module.name]
        outputs[unit.name] = crop(merge_pool_phases(y), unit.grid, image.shape[:2], multiple).astype(
          jnp.float32
        )
      return y

    with nn.intercept_methods(watch):
      model.apply(variables, self._experiment.preprocess(image[None]))
    return outputs


def crop_shifted(image: np.ndarray, multiple: int) -> np.ndarray:
  """Crops an image without a shift, shifted by one column, and shifted by one row.

  Returns:
    `[3, h, w, 3]`. h and w are the largest multiples of `multiple` that leave room for the shift; for a
    smaller image, its side minus one.
  """
  height, width = ((side - 1) // multiple * multiple or side - 1 for side in image.shape[:2])
  corners = ((0, 0), (0, 1), (1, 0))
  return np.stack([image[y : y + height, x : x + width] for y, x in corners])


def replace_pools(model, units: Mapping[str, Unit], pooling: str):
  """The segmenter with `pooling` in place of its P-pooling units; "ppool" leaves it unchanged."""
  if pooling == "ppool":
    return model
  backbone = model.backbone
  pool = {s.name: pooling if s.name in units else resolve_pool(backbone.pool, s) for s in backbone.pool_slots}
  return model.clone(backbone=backbone.clone(pool=pool))

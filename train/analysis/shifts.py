"""How much features change when the image moves by one pixel, with each pooling."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ppool_jax.models.pool_slots import resolve_pool
from train.analysis.observe import whole
from train.analysis.units import Unit
from train.experiment.experiment import Experiment
from train.step.alpha_stats import crop

POOLINGS = ("avg", "max", "ppool")


class ShiftSensitivity:
  """A function `(variables, uint8 image [H, W, 3]) -> {pooling: {unit: change}}`.

  The change of a unit's output f is ||f(moved image) - f(image)|| / ||f(image)||, the root of the mean of
  its square over a move to the right and one down. Images are cut from one picture, so that what moves in
  is real, and their sides are multiples of the network's stride where the picture is large enough. "avg"
  and "max" replace all P-pooling units; the other parameters are those that were trained with P-pooling.
  """

  def __init__(self, experiment: Experiment, units: Mapping[str, Unit]):
    self._units, self._experiment = units, experiment
    models = {pooling: replace(experiment.model, units, pooling) for pooling in POOLINGS}
    self._compiled = {
      pooling: jax.jit(functools.partial(self._changes, model)) for pooling, model in models.items()
    }

  def __call__(self, variables, image: np.ndarray) -> dict[str, dict[str, float]]:
    images = moved(image, self._experiment.model.backbone.size_divisor)
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
    """float32 `[1, h, w, C]` by unit."""
    outputs, multiple = {}, model.backbone.size_divisor

    def watch(next_call, args, kwargs, context):
      y = next_call(*args, **kwargs)
      if context.method_name == "__call__" and context.module.name in self._units:
        unit = self._units[context.module.name]
        outputs[unit.name] = crop(whole(y), unit.grid, image.shape[:2], multiple).astype(jnp.float32)
      return y

    with nn.intercept_methods(watch):
      model.apply(variables, self._experiment.preprocess(image[None]))
    return outputs


def moved(image: np.ndarray, multiple: int) -> np.ndarray:
  """An image, and what it shows moved by one pixel along its columns and along its rows.

  Returns:
    `[3, h, w, 3]`; h and w are the largest multiples that leave room for the move, or, of a smaller image,
    its side less one pixel.
  """
  height, width = ((side - 1) // multiple * multiple or side - 1 for side in image.shape[:2])
  corners = ((0, 0), (0, 1), (1, 0))
  return np.stack([image[y : y + height, x : x + width] for y, x in corners])


def replace(model, units: Mapping[str, Unit], pooling: str):
  """The segmenter with `pooling` in the place of its P-pooling units; "ppool": as it is."""
  if pooling == "ppool":
    return model
  backbone = model.backbone
  pool = {s.name: pooling if s.name in units else resolve_pool(backbone.pool, s) for s in backbone.pool_slots}
  return model.clone(backbone=backbone.clone(pool=pool))

"""What the P-pooling units of a network do with one image: their alpha, the zeros of their input."""

from __future__ import annotations

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ppool_jax import PolynomialPool
from ppool_jax.models.pool_slots import merge_phases
from train.analysis.units import find_units
from train.experiment.experiment import Experiment
from train.step.alpha_stats import alpha_maps, crop


class Observation(NamedTuple):
  """A unit at one image.

  Attributes:
    alpha: float32 `[h, w, C]`, the windows whose center lies in the image.
    zeros: float32 `[C]`, the fraction of the unit's input in the image that is zero.
  """

  alpha: np.ndarray
  zeros: np.ndarray


class Observer:
  """A function `(variables, uint8 image [H, W, 3]) -> Observation by unit`, in the network's order.

  A program is compiled for every size of images.

  Attributes:
    units: `find_units` of the experiment.
  """

  def __init__(self, experiment: Experiment):
    self.units = find_units(experiment)
    self._experiment = experiment
    self._compiled = jax.jit(self._observe)

  def __call__(self, variables, image: np.ndarray) -> dict[str, Observation]:
    found = jax.device_get(self._compiled(variables, image[None]))
    return {name: found[name] for name in self.units}

  def _observe(self, variables, images) -> dict[str, Observation]:
    model, inputs, size = self._experiment.model, {}, images.shape[1:3]

    def watch(next_call, args, kwargs, context):
      if isinstance(context.module, PolynomialPool) and context.method_name == "__call__":
        inputs[context.module.name] = whole(args[0])
      return next_call(*args, **kwargs)

    with nn.intercept_methods(watch):
      preprocessed = self._experiment.preprocess(images)
      _, sown = model.apply(variables, preprocessed, mutable=["intermediates"])
    maps, multiple = alpha_maps(sown, model.backbone, size), model.backbone.size_divisor
    observed = {}
    for name, unit in self.units.items():
      x = crop(inputs[name], unit.inputs, size, multiple)
      observed[name] = Observation(maps[name][0], jnp.mean(x == 0, axis=(0, 1, 2)))
    return observed


def whole(x: jax.Array) -> jax.Array:
  """What a pool reads or gives for one image, `[1, H, W, C]`: a dilated pool works on phases of it."""
  rate = math.isqrt(x.shape[0])
  return merge_phases(x, rate, (1, x.shape[1] * rate, x.shape[2] * rate))


def initial_alpha(experiment: Experiment, variables, image: np.ndarray, seed: int = 0) -> dict:
  """The alpha that training starts from, float `[C]` by unit: the mean over one image.

  The sources of the network have the parameters that `seed` gives them at step 0; all others are as they
  are. Of a side branch whose last kernel starts at zero this is `initial`, whatever the image.

  Args:
    variables: of the trained network.
    image: uint8 `[H, W, 3]`.
    seed: the run's.
  """
  key = jax.random.key(seed, impl="threefry2x32")

  @jax.jit  # leaves out all parameters that are not needed
  def fresh(params):
    start = experiment.model.init(key, jnp.zeros((1, 32, 32, 3)))["params"]
    return jax.tree.map_with_path(lambda path, old, new: new if _of_source(path) else old, params, start)

  variables = {**variables, "params": fresh(variables["params"])}
  observed = Observer(experiment)(variables, image)
  return {unit: found.alpha.mean((0, 1), dtype=float) for unit, found in observed.items()}


def _of_source(path) -> bool:
  return any(getattr(part, "key", None) == "alpha" for part in path)

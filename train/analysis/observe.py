"""Observes the P-pooling units of a network on one image: their alpha and the zeros of their input."""

from __future__ import annotations

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ppool_jax import PolynomialPool
from ppool_jax.models.dilation import merge_phases
from train.analysis.units import find_units
from train.experiment.experiment import Experiment
from train.step.alpha_stats import alpha_maps, crop
from train.step.step import random_key


class Observation(NamedTuple):
  """A unit's alpha and input sparsity on one image.

  Attributes:
    alpha: float32 `[h, w, C]`, for the windows whose center lies in the image.
    zeros: float32 `[C]`, the fraction of zeros in the unit's input within the image.
  """

  alpha: np.ndarray
  zeros: np.ndarray


class Observer:
  """A function `(variables, uint8 image [H, W, 3]) -> {unit: Observation}`, in the network's order.

  It is compiled once for every image size.

  Attributes:
    units: the units from `find_units`.
  """

  def __init__(self, experiment: Experiment):
    self.units = find_units(experiment)
    self._experiment = experiment
    self._compiled = jax.jit(self._observe)

  def __call__(self, variables, image: np.ndarray) -> dict[str, Observation]:
    observed = jax.device_get(self._compiled(variables, image[None]))
    return {name: Observation(*observed[name]) for name in self.units}

  def _observe(self, variables, images) -> dict[str, tuple[jax.Array, jax.Array]]:
    model, inputs, size = self._experiment.model, {}, images.shape[1:3]

    def watch(next_call, args, kwargs, context):
      if isinstance(context.module, PolynomialPool) and context.method_name == "__call__":
        inputs[context.module.name] = merge_pool_phases(args[0])
      return next_call(*args, **kwargs)

    with nn.intercept_methods(watch):
      preprocessed = self._experiment.preprocess(images)
      _, sown = model.apply(variables, preprocessed, mutable=["intermediates"])
    maps, multiple = alpha_maps(sown, model.backbone, size), model.backbone.size_divisor
    observed = {}
    for name, unit in self.units.items():
      x = crop(inputs[name], unit.inputs, size, multiple)
      observed[name] = maps[name][0], jnp.mean(x == 0, axis=(0, 1, 2))
    return observed


def merge_pool_phases(x: jax.Array) -> jax.Array:
  """Merges a dilated pool's phases of one image, `[rate**2, h, w, C]`, into `[1, H, W, C]`."""
  rate = math.isqrt(x.shape[0])
  return merge_phases(x, rate, (1, x.shape[1] * rate, x.shape[2] * rate))


def compute_initial_alpha(experiment: Experiment, variables, image: np.ndarray, seed: int = 0) -> dict:
  """The initial alpha, averaged over one image: float `[C]` by unit.

  The alpha sources have the parameters that `seed` gives them at step 0; all other parameters are the
  trained ones. For a side branch whose last kernel starts at zero the result is `initial` for any image.

  Args:
    experiment: the experiment.
    variables: variables of the trained network.
    image: uint8 `[H, W, 3]`.
    seed: seed of the run.
  """
  key = random_key(seed)

  @jax.jit  # so that unneeded parameters are not computed
  def reset_alpha(params):
    start = experiment.model.init(key, jnp.zeros((1, 32, 32, 3)))["params"]
    return jax.tree.map_with_path(
      lambda path, old, new: new if _is_alpha_parameter(path) else old, params, start
    )

  variables = {**variables, "params": reset_alpha(variables["params"])}
  observed = Observer(experiment)(variables, image)
  return {unit: observation.alpha.mean((0, 1), dtype=float) for unit, observation in observed.items()}


def _is_alpha_parameter(path) -> bool:
  return any(getattr(part, "key", None) == "alpha" for part in path)

"""The P-pooling units of a network: where their windows lie in the image, the range of their alpha."""

from __future__ import annotations

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppool_jax import PolynomialPool
from ppool_jax.layers import Exponential
from ppool_jax.models.grid import Grid
from train.experiment.experiment import Experiment
from train.step.alpha_stats import unit_grid


class Unit(NamedTuple):
  """A P-pool of a network.

  Attributes:
    name: of the pool, such as "pool3".
    grid: of its output.
    inputs: of its input.
    window: pixels along an axis that the cells of one window tile.
    channels: of its input and output.
    low, high: the ends of the range of alpha; high may be infinite.
    logarithmic: whether the source predicts log alpha.
  """

  name: str
  grid: Grid
  inputs: Grid
  window: int
  channels: int
  low: float
  high: float
  logarithmic: bool


def find_units(experiment: Experiment) -> dict[str, Unit]:
  """The units by name, in the order in which the network computes them; nothing is computed."""
  backbone, seen, ranges = experiment.model.backbone, {}, {}

  def watch(next_call, args, kwargs, context):
    module = context.module
    if context.method_name == "__call__" and isinstance(module, PolynomialPool):
      seen[module.name] = (module, args[0].shape)
    elif context.method_name == "__call__" and module.path and module.path[-1] == "alpha":
      ranges[module.path[-2]] = getattr(module, "range_map", None)
    return next_call(*args, **kwargs)

  images = jax.ShapeDtypeStruct((1, backbone.size_divisor, backbone.size_divisor, 3), jnp.float32)
  with nn.intercept_methods(watch):
    jax.eval_shape(experiment.model.init, jax.random.key(0), images)
  return {name: _unit(backbone, *found, ranges.get(name)) for name, found in seen.items()}


def check_pooling(units: dict[str, Unit], what: str) -> None:
  """Refuses a network without P-pooling.

  Raises:
    ValueError: names `what` was asked for.
  """
  if not units:
    raise ValueError(f"{what}: this network has no P-pooling")


def _unit(backbone, module: PolynomialPool, shape: tuple[int, ...], range_map) -> Unit:
  grid = unit_grid(backbone, module.name)
  rate = math.isqrt(shape[0])  # a dilated pool gets the rate**2 phases of the one image as a batch
  stride, (size, *_), (low, _) = module.strides[0], module.window_shape, module.padding[0]
  cell = grid.stride // stride
  inputs = Grid(cell, grid.offset - cell * rate * ((size - 1) / 2 - low))
  ends = getattr(range_map, "ends", (0.0, math.inf))
  logarithmic = isinstance(range_map, Exponential)
  return Unit(
    module.name, grid, inputs, cell * ((size - 1) * rate + 1), shape[-1], *map(float, ends), logarithmic
  )

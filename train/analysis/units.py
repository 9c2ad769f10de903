"""Finds the P-pooling units of a network, the position of their windows and the range of their alpha."""

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
  """A P-pooling layer of a network.

  Attributes:
    name: name of the layer, such as "pool3".
    grid: grid of its output.
    inputs: grid of its input.
    window: number of pixels along an axis that the cells of one window cover.
    channels: number of channels of its input and output.
    low, high: ends of the range of alpha; high may be infinite.
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
  """Finds the units by abstract evaluation; returns them by name, in the order of the forward pass."""
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
  return {
    name: _make_unit(backbone, module, shape, ranges.get(name)) for name, (module, shape) in seen.items()
  }


def require_ppool(units: dict[str, Unit], what: str) -> None:
  """Checks that a network has P-pooling.

  Args:
    units: the network's units.
    what: the run or flag that requires P-pooling, for the error message.

  Raises:
    ValueError: there is no unit.
  """
  if not units:
    raise ValueError(f"{what}: this network has no P-pooling")


def _make_unit(backbone, module: PolynomialPool, shape: tuple[int, ...], range_map) -> Unit:
  name, strides = str(module.name), module.strides
  assert strides is not None, "a network's pool has strides"
  assert not isinstance(module.padding, str), "a network's pool has its padding in numbers"
  grid = unit_grid(backbone, name)
  rate = math.isqrt(shape[0])  # a dilated pool gets the rate**2 phases of the image as a batch
  stride, (size, *_), (low, _) = strides[0], module.window_shape, module.padding[0]
  cell = grid.stride // stride
  inputs = Grid(cell, grid.offset - cell * rate * ((size - 1) / 2 - low))
  low_end, high_end = getattr(range_map, "ends", (0.0, math.inf))
  logarithmic = isinstance(range_map, Exponential)
  window = cell * ((size - 1) * rate + 1)
  return Unit(name, grid, inputs, window, shape[-1], float(low_end), float(high_end), logarithmic)

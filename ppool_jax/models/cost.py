"""Parameters and multiply-adds of a network, computed from shapes without running it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp

# Parameters that multiply an input at every position of the output.
_KERNELS = ("kernel", "depthwise", "pointwise")


class Cost(NamedTuple):
  """The cost of a network.

  Attributes:
    parameters: number of parameters of all layers, without running statistics.
    side_branches: number of parameters of alpha sources, which are among them.
    multiply_adds: for one image, of convolutions, dense layers and side branches. The computation of pools
      within their windows, batch norm, activations and the upsampling are not counted.
    output_stride: stride of the last feature in pixels.
  """

  parameters: int
  side_branches: int
  multiply_adds: int
  output_stride: int


def cost(model: nn.Module, height: int, width: int) -> Cost:
  """The cost of a segmenter or backbone on an image of `height` x `width` pixels.

  Raises:
    ValueError: the network does not support its pool.
  """
  counted = []

  def count(next_call, args, kwargs, context):
    output = next_call(*args, **kwargs)
    if context.method_name == "__call__":
      counted.append(_multiply_adds(context.module, output))
    return output

  with nn.intercept_methods(count):
    images = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
  params: Any = flax.traverse_util.flatten_dict(variables["params"])
  sizes = {path: math.prod(leaf.shape) for path, leaf in params.items()}
  backbone = getattr(model, "backbone", model)
  return Cost(
    sum(sizes.values()),
    sum(size for path, size in sizes.items() if "alpha" in path[:-1]),
    sum(counted),
    backbone.grids[backbone.last_feature].stride,
  )


def _multiply_adds(module: nn.Module, output: Any) -> int:
  """Multiply-adds of a module's own kernels.

  Every weight is used once per output position; of a transposed convolution, 1 / factor^2 of them.
  """
  params = module.variables.get("params", {})
  weights = sum(math.prod(params[name].shape) for name in _KERNELS if hasattr(params.get(name), "shape"))
  per_position = weights // getattr(module, "factor", 1) ** 2
  return per_position * math.prod(output.shape[1:-1]) if weights else 0

"""Where the exponent alpha of `PolynomialPool` comes from.

A source is a Linen module `module(x, window_shape, strides, padding) -> alpha` with x
`[..., *spatial, channels]` and alpha broadcasting to the pool's output, in [0, inf], float32. Any
module with that call is one. A source with the attribute `range_map` tells by `range_map.ends`, a pair
of numbers, the least and the largest alpha it can give: logs and figures show how many alphas are there.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppool_jax.layers.range_maps import Clip
from ppool_jax.pooling.depthwise import depthwise


class Constant(nn.Module):
  """One fixed alpha for the layer.

  Attributes:
    value: alpha, in [0, inf].
  """

  value: float

  @nn.compact
  def __call__(self, x, window_shape, strides=None, padding="VALID") -> jax.Array:
    if not self.value >= 0:
      raise ValueError(f"alpha: expected a number in [0, inf], got {self.value!r}")
    return jnp.float32(self.value)


class Learned(nn.Module):
  """A learned alpha, the same everywhere in the layer or in each channel.

  Attributes:
    initial: alpha to start from.
    per: "layer" or "channel".
    range_map: from the parameter to alpha, with `inverse`.
  """

  initial: float = 3.0
  per: str = "layer"
  range_map: Callable = Clip()

  @nn.compact
  def __call__(self, x, window_shape, strides=None, padding="VALID") -> jax.Array:
    shape = parameter_shape(self.per, x)
    raw = self.param("raw", nn.initializers.constant(self.range_map.inverse(self.initial)), shape)
    return self.range_map(raw.astype(jnp.float32))


class SideBranch(nn.Module):
  """The paper's side branch: alpha for every window from the layer's input (section 3.3).

  Depthwise convolution with the pool's window, strides and padding -> PReLU -> depthwise 1x1
  convolution with bias -> range map: prod(window) + 3 parameters a channel. Computed in float32
  whatever x is.

  Attributes:
    initial: alpha to start from; at the paper's 20 a pre-trained network begins as max pooling.
    range_map: from the branch's output to alpha, with `inverse`; the paper clips to (0, 35].
    input_scale: what x is multiplied by; the paper's 100.
    normalise: divides x by 1 + its largest magnitude in each example and channel, as the authors' final
      code does, so that the branch sees the same range in every network and stage.
    detach: stops the gradient from the branch into x, as the authors' final code does.
    pointwise_stddev: of the normal distribution that the last kernel starts from; 0, so that alpha starts
      at `initial` everywhere, where the authors' final code has He's sqrt(2).
    gradient_scale: multiplies the gradient that reaches the branch's parameters (and x, unless
      detached) through alpha; the authors' final code has 3 inside its operator, which the paper does
      not mention.
  """

  initial: float = 20.0
  range_map: Callable = Clip(35.0)
  input_scale: float = 100.0
  normalise: bool = False
  detach: bool = False
  pointwise_stddev: float = 0.0
  gradient_scale: float = 1.0

  @nn.compact
  def __call__(self, x, window_shape, strides=None, padding="VALID") -> jax.Array:
    channels = (x.shape[-1],)
    start = self.range_map.inverse(self.initial)
    depth_kernel = self.param("depthwise", _he_normal, (*window_shape, *channels))
    slope = self.param("prelu", nn.initializers.constant(0.25), channels)
    zeros, normal = nn.initializers.zeros, nn.initializers.normal
    start_point = normal(self.pointwise_stddev) if self.pointwise_stddev else zeros
    point_kernel = self.param("pointwise", start_point, channels)
    bias = self.param("bias", nn.initializers.constant(start), channels)

    def branch(x, depth_kernel, slope, point_kernel, bias):
      # Scaling the kernel is the same as scaling x, and stores no second x.
      kernel = depth_kernel.astype(jnp.float32) * self.input_scale
      hidden = depthwise(x, kernel, strides, padding, jnp.float32)
      if self.normalise:
        hidden = hidden / (1 + _magnitude(x, len(window_shape)))
      hidden = jnp.where(hidden >= 0, hidden, slope * hidden)
      alpha = self.range_map(hidden * point_kernel + bias)
      return alpha if self.gradient_scale == 1 else _scale_gradient(alpha, self.gradient_scale)

    x = jax.lax.stop_gradient(x) if self.detach else x
    # The reverse pass keeps x, which the pool keeps too, and nothing of what lies between x and alpha.
    return jax.checkpoint(branch)(x, depth_kernel, slope, point_kernel, bias)


def _magnitude(x: jax.Array, spatial: int) -> jax.Array:
  """Largest magnitude of each example and channel; a scale, so no gradient flows through it."""
  axes = tuple(range(x.ndim - 1 - spatial, x.ndim - 1))
  return jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=axes, keepdims=True)).astype(jnp.float32)


def _scale_gradient(x: jax.Array, factor: float) -> jax.Array:
  """x; its derivative is multiplied by `factor`."""
  return x + (factor - 1) * (x - jax.lax.stop_gradient(x))


def parameter_shape(per: str, x: jax.Array) -> tuple[int, ...]:
  """Shape of a parameter that is one for the "layer" or one for each "channel"."""
  if per not in ("layer", "channel"):
    raise ValueError(f'per: expected "layer" or "channel", got {per!r}')
  return (x.shape[-1],) if per == "channel" else ()


def _he_normal(key, shape, dtype=jnp.float32):
  """He-normal for a depthwise kernel `[*window, channels]`: each output sees one window."""
  fan_in = math.prod(shape[:-1])
  return jax.random.normal(key, shape, dtype) * math.sqrt(2 / fan_in)

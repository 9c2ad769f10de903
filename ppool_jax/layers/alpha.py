"""Alpha sources: modules that compute the exponent alpha of `PolynomialPool`.

A source is any Linen module `module(x, window_shape, strides, padding) -> alpha`. x is
`[..., *spatial, channels]`; alpha is float32, in [0, inf], and broadcasts to the pool's output. A source may
have an attribute `range_map` with a property `ends`, the pair (smallest, largest) alpha that it can return.
Logs and figures then show the share of alphas at each end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppool_jax.layers.range_maps import Clip, RangeMap
from ppool_jax.pooling.depthwise import depthwise_conv
from ppool_jax.pooling.geometry import Padding


class Constant(nn.Module):
  """The same fixed alpha everywhere.

  Attributes:
    value: alpha, in [0, inf].
  """

  value: float

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    window_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Padding = "VALID",
  ) -> jax.Array:
    if not self.value >= 0:
      raise ValueError(f"alpha: expected a number in [0, inf], got {self.value!r}")
    return jnp.float32(self.value)


class Learned(nn.Module):
  """A learned alpha: one for the layer, or one for each channel.

  Attributes:
    initial: the initial alpha.
    per: "layer" or "channel".
    range_map: maps the parameter to alpha; has `inverse`.
  """

  initial: float = 3.0
  per: str = "layer"
  range_map: RangeMap = Clip()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    window_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Padding = "VALID",
  ) -> jax.Array:
    shape = parameter_shape(self.per, x)
    raw = self.param("raw", nn.initializers.constant(self.range_map.inverse(self.initial)), shape)
    return self.range_map(raw.astype(jnp.float32))


class SideBranch(nn.Module):
  """The paper's side branch: an alpha for every window, predicted from the layer's input (section 3.3).

  Depthwise convolution with the pool's window, strides and padding -> PReLU -> depthwise 1x1
  convolution with bias -> range map. It has prod(window) + 3 parameters for each channel, and computes in
  float32 whatever the dtype of x.

  Attributes:
    initial: the initial alpha. At the paper's 20, a pre-trained network starts almost as with max pooling.
    range_map: maps the branch's output to alpha; has `inverse`. The paper clips to (0, 35].
    input_scale: a factor on x; 100 in the paper.
    normalize: whether to divide x by 1 + its largest magnitude in each example and channel, so that the
      branch gets inputs of the same range in every network and stage. The authors' final code does.
    detach: whether to stop the gradient from the branch to x. The authors' final code does.
    pointwise_stddev: the standard deviation of the last kernel's normal initializer. At 0 alpha is
      `initial` everywhere at the start; the authors' final code has He's sqrt(2).
    gradient_scale: a factor on the gradient that reaches the branch's parameters (and x, unless detached)
      through alpha. The authors' final code has a factor of 3 in its operator, which the paper does not
      mention.
  """

  initial: float = 20.0
  range_map: RangeMap = Clip(35.0)
  input_scale: float = 100.0
  normalize: bool = False
  detach: bool = False
  pointwise_stddev: float = 0.0
  gradient_scale: float = 1.0

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    window_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Padding = "VALID",
  ) -> jax.Array:
    channels = (x.shape[-1],)
    start = self.range_map.inverse(self.initial)
    depth_kernel = self.param("depthwise", _he_normal, (*window_shape, *channels))
    slope = self.param("prelu", nn.initializers.constant(0.25), channels)
    zeros, normal = nn.initializers.zeros, nn.initializers.normal
    start_point = normal(self.pointwise_stddev) if self.pointwise_stddev else zeros
    point_kernel = self.param("pointwise", start_point, channels)
    bias = self.param("bias", nn.initializers.constant(start), channels)

    def branch(x, depth_kernel, slope, point_kernel, bias):
      # The kernel is scaled instead of x, as a scaled x would be stored.
      kernel = depth_kernel.astype(jnp.float32) * self.input_scale
      hidden = depthwise_conv(x, kernel, strides, padding, dtype=jnp.float32)
      if self.normalize:
        hidden = hidden / (1 + _magnitude(x, len(window_shape)))
      hidden = jnp.where(hidden >= 0, hidden, slope * hidden)
      alpha = self.range_map(hidden * point_kernel + bias)
      return alpha if self.gradient_scale == 1 else _scale_gradient(alpha, self.gradient_scale)

    x = jax.lax.stop_gradient(x) if self.detach else x
    # The reverse pass keeps x, which the pool keeps too, and nothing between x and alpha.
    return jax.checkpoint(branch)(x, depth_kernel, slope, point_kernel, bias)


def _magnitude(x: jax.Array, spatial: int) -> jax.Array:
  """The largest magnitude of each example and channel; no gradient flows through it."""
  axes = tuple(range(x.ndim - 1 - spatial, x.ndim - 1))
  return jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=axes, keepdims=True)).astype(jnp.float32)


def _scale_gradient(x: jax.Array, factor: float) -> jax.Array:
  """x, with a derivative that is multiplied by `factor`."""
  return x + (factor - 1) * (x - jax.lax.stop_gradient(x))


def parameter_shape(per: str, x: jax.Array) -> tuple[int, ...]:
  """The shape of a parameter: one number for the "layer", or one for each "channel"."""
  if per not in ("layer", "channel"):
    raise ValueError(f'per: expected "layer" or "channel", got {per!r}')
  return (x.shape[-1],) if per == "channel" else ()


def _he_normal(key, shape, dtype=jnp.float32):
  """He-normal initializer of a depthwise kernel `[*window, channels]`, with the window's size as fan-in."""
  fan_in = math.prod(shape[:-1])
  return jax.random.normal(key, shape, dtype) * math.sqrt(2 / fan_in)

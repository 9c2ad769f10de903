"""The baseline poolings as layers, `layer(x)` for x `[..., *spatial, channels]`.

Their fields `window_shape`, `strides` and `padding` are as in `ppool_jax.pooling.max_pool`. Their parameters
are float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppool_jax import pooling
from ppool_jax.layers.alpha import parameter_shape
from ppool_jax.layers.range_maps import Softplus
from ppool_jax.pooling.geometry import Padding


class _Pool(nn.Module):
  """The fields of every baseline layer."""

  window_shape: Sequence[int]
  strides: Sequence[int] | None = None
  padding: Padding = "VALID"

  @property
  def geometry(self) -> tuple[Sequence[int], Sequence[int] | None, Padding]:
    """The arguments of a pooling function after x and its parameters."""
    return self.window_shape, self.strides, self.padding


class MaxPool(_Pool):
  """Max pooling; ties share the gradient."""

  def __call__(self, x: jax.Array) -> jax.Array:
    return pooling.max_pool(x, *self.geometry)


class AvgPool(_Pool):
  """Average pooling over the elements of each window, without the padding."""

  def __call__(self, x: jax.Array) -> jax.Array:
    return pooling.avg_pool(x, *self.geometry)


class SoftPool(_Pool):
  """SoftPool."""

  def __call__(self, x: jax.Array) -> jax.Array:
    return pooling.soft_pool(x, *self.geometry)


class LpPool(_Pool):
  """Lp pooling, with p fixed or learned as 1 + softplus(raw).

  Attributes:
    p: the exponent; its initial value where it is learned.
    per: None for a fixed p; "layer" or "channel" for one learned p or one for each channel.
  """

  p: float = 3.0
  per: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    if self.per is None:
      return pooling.lp_pool(x, self.p, *self.geometry)
    if not 1 + 1e-6 <= self.p < math.inf:
      raise ValueError(f"p: expected a finite number above 1 where p is learned, got {self.p!r}")
    start = nn.initializers.constant(Softplus().inverse(self.p - 1))
    raw = self.param("raw", start, parameter_shape(self.per, x))
    return pooling.lp_pool(x, 1 + Softplus()(raw), *self.geometry)


class MixedPool(_Pool):
  """Mixed max-average pooling with a learned share of max pooling, which may leave [0, 1].

  Attributes:
    initial: the initial share.
    per: "layer" for one share, "channel" for one for each channel.
  """

  initial: float = 0.5
  per: str = "layer"

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    mix = self.param("mix", nn.initializers.constant(self.initial), parameter_shape(self.per, x))
    return pooling.mixed_pool(x, mix, *self.geometry)


class GatedPool(_Pool):
  """Gated max-average pooling.

  Attributes:
    per: "layer" for one mask (the paper's "gated, layer-wise"), "channel" for one for each channel.
    stddev: the standard deviation of the mask's normal initializer; the P-pooling authors used 1.
  """

  per: str = "layer"
  stddev: float = 0.1

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape = (*self.window_shape, *parameter_shape(self.per, x))
    mask = self.param("mask", nn.initializers.normal(self.stddev), shape)
    return pooling.gated_pool(x, mask, *self.geometry)


class DetailPreservingPool(_Pool):
  """Detail-preserving pooling with a learned alpha and lambda for each channel.

  As in the original code, both are initialized uniformly in +-1/sqrt(channels), and alpha is at most 10. In
  the "asym_raw" variant of the P-pooling authors both are initialized to 0. The kernel of the "full" variants
  is initialized to the mean of the 2x2 elements at and after the center.

  Attributes:
    variant: as in `detail_preserving_pool`.
  """

  variant: str = "sym_lite"

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    channels = x.shape[-1]
    raw = self.variant == "asym_raw"
    init = nn.initializers.zeros if raw else _symmetric_uniform(channels**-0.5)
    alpha = self.param("alpha", init, (channels,))
    lam = self.param("lambda", init, (channels,))
    if not raw:
      # The original clamps the parameter in place, so the gradient also flows above 10.
      alpha = alpha + jax.lax.stop_gradient(jnp.minimum(alpha, 10.0) - alpha)
    kernel = None
    if self.variant.endswith("full"):
      kernel = self.param("kernel", _corner_mean, (*(3 for _ in self.window_shape), channels))
    return pooling.detail_preserving_pool(x, alpha, lam, *self.geometry, variant=self.variant, kernel=kernel)


class StridedPool(_Pool):
  """The paper's "Strided-C": keeps every strides-th element. The window and the padding have no effect."""

  def __call__(self, x: jax.Array) -> jax.Array:
    return pooling.strided_pool(x, self.strides or tuple(1 for _ in self.window_shape))


class AllConvPool(_Pool):
  """The paper's "All-C": a 3x3 convolution with the pool's strides, then ReLU; He-normal initializer.

  The window and the padding have no effect.
  """

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    channels = x.shape[-1]
    size = tuple(3 for _ in self.window_shape)
    kernel = self.param("kernel", nn.initializers.he_normal(), (*size, channels, channels))
    bias = self.param("bias", nn.initializers.zeros, (channels,))
    return pooling.conv_pool(x, kernel, bias, self.strides or tuple(1 for _ in size))


def _symmetric_uniform(bound: float):
  return lambda key, shape: jax.random.uniform(key, shape, minval=-bound, maxval=bound)


def _corner_mean(key, shape):
  """A depthwise kernel `[3, ..., channels]` that averages the last two places along each axis."""
  del key
  axes = len(shape) - 1
  return jnp.zeros(shape).at[(slice(1, None),) * axes].set(0.5**axes)

"""The baseline poolings as layers, each `layer(x)` with x `[..., *spatial, channels]`.

All take window_shape, strides and padding as `ppool_jax.pooling.max_pool` does; parameters are
float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppool_jax import pooling
from ppool_jax.layers.alpha import parameter_shape
from ppool_jax.layers.range_maps import Softplus


class _Pool(nn.Module):
  """Fields that every pooling layer has."""

  window_shape: Sequence[int]
  strides: Sequence[int] | None = None
  padding: str | Sequence[tuple[int, int]] = "VALID"

  @property
  def geometry(self):
    return self.window_shape, self.strides, self.padding


class MaxPool(_Pool):
  """Max pooling; ties share the gradient."""

  def __call__(self, x: jax.Array) -> jax.Array:
    return pooling.max_pool(x, *self.geometry)


class AvgPool(_Pool):
  """Average pooling; padding is left out."""

  def __call__(self, x: jax.Array) -> jax.Array:
    return pooling.avg_pool(x, *self.geometry)


class SoftPool(_Pool):
  """SoftPool."""

  def __call__(self, x: jax.Array) -> jax.Array:
    return pooling.soft_pool(x, *self.geometry)


class LpPool(_Pool):
  """Lp pooling, with p fixed or learned as 1 + softplus(raw).

  Attributes:
    p: the exponent, or where it starts.
    per: None for a fixed p, "layer" or "channel" for learned ones.
  """

  p: float = 3.0
  per: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    if self.per is None:
      return pooling.lp_pool(x, self.p, *self.geometry)
    start = nn.initializers.constant(Softplus().inverse(self.p - 1))
    raw = self.param("raw", start, parameter_shape(self.per, x))
    return pooling.lp_pool(x, 1 + Softplus()(raw), *self.geometry)


class MixedPool(_Pool):
  """Mixed max-average pooling with a learned, unrestricted share of max pooling.

  Attributes:
    initial: the share to start from.
    per: "layer" or "channel".
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
    per: "layer" for one mask (the paper's "gated, layer-wise"), "channel" for one in each.
    stddev: of the normal distribution the mask starts from; the P-pooling authors used 1.
  """

  per: str = "layer"
  stddev: float = 0.1

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape = (*self.window_shape, *parameter_shape(self.per, x))
    mask = self.param("mask", nn.initializers.normal(self.stddev), shape)
    return pooling.gated_pool(x, mask, *self.geometry)


class DetailPreservingPool(_Pool):
  """DPP with alpha and lambda for each channel.

  They start uniform in +-1/sqrt(channels) and alpha stays at most 10, as in the original code; in the
  "asym_raw" variant of the P-pooling authors they start at 0. The kernel of the "full" variants starts
  as the mean of the 2x2 elements at and after the centre.

  Attributes:
    variant: as of `detail_preserving_pool`.
  """

  variant: str = "sym_lite"

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    channels = x.shape[-1]
    raw = self.variant == "asym_raw"
    start = nn.initializers.zeros if raw else _uniform_within(channels**-0.5)
    alpha = self.param("alpha", start, (channels,))
    lam = self.param("lambda", start, (channels,))
    if not raw:
      # The original clamps the parameter in place, which leaves the gradient as it is.
      alpha = alpha + jax.lax.stop_gradient(jnp.minimum(alpha, 10.0) - alpha)
    kernel = None
    if self.variant.endswith("full"):
      kernel = self.param("kernel", _corner_mean, (*(3 for _ in self.window_shape), channels))
    return pooling.detail_preserving_pool(x, alpha, lam, *self.geometry, variant=self.variant, kernel=kernel)


class StridedPool(_Pool):
  """ "Strided-C": keeps every strides-th element; the window and padding do not matter."""

  def __call__(self, x: jax.Array) -> jax.Array:
    return pooling.strided_pool(x, self.strides or tuple(1 for _ in self.window_shape))


class AllConvPool(_Pool):
  """ "All-C": a 3x3 convolution with the pool's strides and ReLU, He-normal; the window does not matter."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    channels = x.shape[-1]
    size = tuple(3 for _ in self.window_shape)
    kernel = self.param("kernel", nn.initializers.he_normal(), (*size, channels, channels))
    bias = self.param("bias", nn.initializers.zeros, (channels,))
    return pooling.conv_pool(x, kernel, bias, self.strides or tuple(1 for _ in size))


def _uniform_within(bound: float):
  return lambda key, shape: jax.random.uniform(key, shape, minval=-bound, maxval=bound)


def _corner_mean(key, shape):
  """Depthwise kernel `[3, ..., channels]` that averages the two last places along each axis."""
  del key
  axes = len(shape) - 1
  return jnp.zeros(shape).at[(slice(1, None),) * axes].set(0.5**axes)

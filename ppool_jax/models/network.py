"""The base class of backbones and heads: options, convolutions, batch norm and classifier layers."""

from __future__ import annotations

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen import dtypes

from ppool_jax.pooling.depthwise import depthwise_conv

NORMS = ("sync", "local", "frozen")


class Network(nn.Module):
  """Base class of backbones and heads.

  Attributes:
    width: multiplies the number of channels of every layer; > 0.
    norm: the statistics that batch norm uses in training: "sync", those of the global batch; "local",
      those of each device's part of it (`jax.pmap` only); "frozen", the running averages, as at
      `train=False`.
    axis_name: the axis of `jax.pmap` over which "sync" takes the mean; `train` sets it.
    epsilon: of batch norm.
    momentum: of batch norm's running averages: new = momentum * old + (1 - momentum) * batch.
    dtype: of the computation; parameters are float32. None: the input's.

  Raises:
    ValueError: an unknown norm; a width that is not positive.
  """

  width: float = 1.0
  norm: str = "sync"
  axis_name: str | None = None
  epsilon: float = 1e-5
  momentum: float = 0.9
  dtype: Any = None

  def __post_init__(self):
    super().__post_init__()
    if self.norm not in NORMS:
      raise ValueError(f"norm: expected one of {', '.join(NORMS)}, got {self.norm!r}")
    if not self.width > 0:
      raise ValueError(f"width: expected a positive number, got {self.width!r}")

  def channels(self, count: int) -> int:
    """`count` times the width, rounded, at least 1."""
    return max(1, round(count * self.width))

  def conv(self, x, count: int, size: int, name: str, *, stride: int = 1, dilation: int = 1,
           padding: int | None = None, bias: bool = False) -> jax.Array:  # fmt: skip
    """A convolution of `size` x `size` to `count` channels.

    Args:
      padding: positions on every side. None: such that stride 1 preserves the size.
    """
    around = dilation * (size - 1) // 2 if padding is None else padding
    layer = nn.Conv(
      count, (size, size), strides=stride, padding=[(around, around)] * 2, kernel_dilation=dilation,
      use_bias=bias, kernel_init=nn.initializers.he_normal(), dtype=self.dtype, name=name,
    )  # fmt: skip
    return layer(x)

  def normalize(self, x, name: str, train: bool) -> jax.Array:
    """Batch norm; in training, unless frozen, the collection "batch_stats" must be mutable."""
    layer = nn.BatchNorm(
      use_running_average=not train or self.norm == "frozen",
      axis_name=self.axis_name if self.norm == "sync" else None,
      epsilon=self.epsilon, momentum=self.momentum, dtype=self.dtype, name=name,
    )  # fmt: skip
    return layer(x)

  def depthwise(self, x, name: str, dilation: int = 1) -> jax.Array:
    """A 3x3 depthwise convolution of stride 1 without bias; its kernel is `[3, 3, C]`."""
    return Depthwise(dilation, self.dtype, name=name)(x)


def classify_image(x: jax.Array, num_classes: int, dtype: Any = None) -> jax.Array:
  """Global average pooling and a dense layer "classifier", as a submodule of the calling network.

  Args:
    x: `[N, h, w, C]`.
    num_classes: of the logits.
    dtype: of the computation.

  Returns:
    float32 logits `[N, num_classes]`.

  Raises:
    AssertionError: x has another rank.
  """
  chex.assert_rank(x, 4, custom_message="x: expected [N, h, w, C]")
  scores = nn.Dense(num_classes, dtype=dtype, name="classifier")(x.mean((1, 2)))
  return scores.astype(jnp.float32)


def classify_pixels(
  x: jax.Array,
  num_classes: int,
  dtype: Any = None,
  name: str = "classifier",
  kernel_init: nn.initializers.Initializer = nn.initializers.normal(0.01),  # noqa: B008
) -> jax.Array:
  """A 1x1 convolution to class scores, as a submodule of the calling head.

  Args:
    x: `[N, h, w, C]`.
    num_classes: of the scores.
    dtype: of the computation.
    name: of the submodule.
    kernel_init: initializer of the kernel.

  Returns:
    float32 scores `[N, h, w, num_classes]`.
  """
  scores = nn.Conv(num_classes, (1, 1), dtype=dtype, kernel_init=kernel_init, name=name)(x)
  return scores.astype(jnp.float32)


class Depthwise(nn.Module):
  """A 3x3 depthwise convolution of stride 1 that preserves the size; see `depthwise_conv`."""

  dilation: int = 1
  dtype: Any = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    init = nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal", in_axis=(0, 1), out_axis=2)
    kernel = self.param("kernel", init, (3, 3, x.shape[-1]))
    x, kernel = dtypes.promote_dtype(x, kernel, dtype=self.dtype)
    rate = (self.dilation,) * 2
    return depthwise_conv(x, kernel, padding=[(n, n) for n in rate], dilation=rate, dtype=x.dtype)

"""What all networks share: options, normalisation, widths, the dilation of their convolutions."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

NORMS = ("sync", "local", "frozen")


class Network(nn.Module):
  """Options of every backbone and head.

  Attributes:
    width: multiplies the channels of every layer.
    norm: whose statistics batch norm takes in training: "sync", the global batch's; "local", those of
      a device's share of it (`jax.pmap` only); "frozen", the running ones, as at `train=False`.
    axis_name: of `jax.pmap`, over whose devices "sync" takes the mean. `train` sets it.
    epsilon: of batch norm.
    momentum: of batch norm's running statistics: new = momentum * old + (1 - momentum) * batch.
    dtype: of the computation; parameters are float32. None: the input's.
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

  @property
  def multiple(self) -> int:
    """What the image's sides must be multiples of for every feature to have whole cells."""
    return max(grid.stride for grid in self.grids.values())

  def channels(self, count: int) -> int:
    """`count` times the width, at least 1."""
    return max(1, round(count * self.width))

  def conv(self, x, count: int, size: int, name: str, *, stride: int = 1, dilation: int = 1,
           padding: int | None = None, bias: bool = False) -> jax.Array:  # fmt: skip
    """A square convolution with symmetric padding that keeps the size at stride 1, or `padding`."""
    around = dilation * (size - 1) // 2 if padding is None else padding
    layer = nn.Conv(
      count, (size, size), strides=stride, padding=[(around, around)] * 2, kernel_dilation=dilation,
      use_bias=bias, kernel_init=nn.initializers.he_normal(), dtype=self.dtype, name=name,
    )  # fmt: skip
    return layer(x)

  def normalise(self, x, name: str, train: bool) -> jax.Array:
    """Batch norm; the batch's statistics need the collection "batch_stats" mutable."""
    layer = nn.BatchNorm(
      use_running_average=not train or self.norm == "frozen",
      axis_name=self.axis_name if self.norm == "sync" else None,
      epsilon=self.epsilon, momentum=self.momentum, dtype=self.dtype, name=name,
    )  # fmt: skip
    return layer(x)

  def depthwise(self, x, name: str, dilation: int = 1) -> jax.Array:
    """A 3x3 depthwise convolution of stride 1 without bias, its kernel `[3, 3, C]`."""
    return Depthwise(dilation, self.dtype, name=name)(x)


class Depthwise(nn.Module):
  """A 3x3 depthwise convolution of stride 1, padded with zeros to its input's size.

  Written as nine shifted products, which XLA fuses into one pass: its grouped convolution is many
  times slower on CPU (docs/NETWORKS.md).
  """

  dilation: int = 1
  dtype: Any = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    init = nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal", in_axis=(0, 1), out_axis=2)
    kernel = self.param("kernel", init, (3, 3, x.shape[-1]))
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
    rate, (height, width) = self.dilation, x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (rate, rate), (rate, rate), (0, 0)))
    taps = [
      kernel[i, j] * padded[:, i * rate : i * rate + height, j * rate : j * rate + width]
      for i in range(3)
      for j in range(3)
    ]
    return sum(taps[1:], taps[0])

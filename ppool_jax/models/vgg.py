"""VGG (Simonyan and Zisserman, 2015): stages of 3x3 convolutions, each ended by a pool."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax

from ppool_jax.layers import pool_factory


class VGG(nn.Module):
  """The convolutional trunk of a VGG network, every pool replaceable.

  Pools are 2x2: VALID where they stride, SAME where they do not. The convolutions' parameters are
  `conv<stage>_<number>`, a pool's own live under `pool<stage>`.

  Attributes:
    stages: for each stage its channels and the number of its convolutions.
    pool_strides: for each stage the stride of its pool; None: it has no pool.
    pool: what `pool_factory` takes: a name, `(name, kwargs)`, a factory or a dict of stages.
    batch_norm: batch normalisation in place of the convolutions' biases, for training from scratch.
    axis_name: of `jax.pmap`, over whose devices the batch's statistics are taken in training.
    dtype: of the computation; parameters are float32. None: the input's.
  """

  stages: Sequence[tuple[int, int]]
  pool_strides: Sequence[int | None]
  pool: Any = "max"
  batch_norm: bool = False
  axis_name: str | None = None
  dtype: Any = None

  @property
  def output_stride(self) -> int:
    return math.prod(stride or 1 for stride in self.pool_strides)

  @nn.compact
  def __call__(self, images: jax.Array, train: bool = False) -> dict[str, jax.Array]:
    """Features of every stage.

    Args:
      images: `[N, H, W, 3]`, preprocessed.
      train: whether batch norm takes the batch's statistics (collection "batch_stats" mutable).

    Returns:
      "conv<s>", the last activation of stage s before its pool, and "pool<s>", where it has one:
      `[N, H_s, W_s, C_s]`.

    Raises:
      ValueError: `pool` is a dict with a stage that the network does not have.
    """
    check_stages(self.pool, [f"pool{s}" for s, stride in enumerate(self.pool_strides, 1) if stride])
    features = {}
    x = images
    for s, ((channels, depth), stride) in enumerate(zip(self.stages, self.pool_strides, strict=True), 1):
      for i in range(1, depth + 1):
        conv = nn.Conv(channels, (3, 3), dtype=self.dtype, use_bias=not self.batch_norm,
                       kernel_init=nn.initializers.he_normal(),
                       name=f"conv{s}_{i}")  # fmt: skip
        x = conv(x)
        if self.batch_norm:
          norm = nn.BatchNorm(
            use_running_average=not train, momentum=0.9, dtype=self.dtype, axis_name=self.axis_name,
            name=f"norm{s}_{i}",
          )  # fmt: skip
          x = norm(x)
        x = nn.relu(x)
      features[f"conv{s}"] = x
      if stride is None:
        continue
      pool = pool_factory(self.pool, f"pool{s}")
      padding = "VALID" if stride > 1 else "SAME"
      x = pool(window_shape=(2, 2), strides=(stride, stride), padding=padding, name=f"pool{s}")(x)
      features[f"pool{s}"] = x
    return features


def check_stages(pool, stages: Sequence[str]) -> None:
  """Refuses a `pool` dict with a key that is no stage: a typing error would leave the default."""
  if isinstance(pool, Mapping) and (unknown := sorted(set(pool) - {*stages, "default"})):
    raise ValueError(f'pool: expected stages among {", ".join(stages)} and "default", got {unknown[0]!r}')

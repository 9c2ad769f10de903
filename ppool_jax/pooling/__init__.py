"""Pooling as pure functions: arrays in, arrays out, no parameters."""

from ppool_jax.pooling.average import avg_pool
from ppool_jax.pooling.dpp import detail_preserving_pool
from ppool_jax.pooling.lp import lp_pool
from ppool_jax.pooling.max import max_pool
from ppool_jax.pooling.mixed import gated_pool, mixed_pool
from ppool_jax.pooling.polynomial import polynomial_pool
from ppool_jax.pooling.soft import soft_pool
from ppool_jax.pooling.strided import conv_pool, strided_pool

__all__ = [
  "avg_pool",
  "conv_pool",
  "detail_preserving_pool",
  "gated_pool",
  "lp_pool",
  "max_pool",
  "mixed_pool",
  "polynomial_pool",
  "soft_pool",
  "strided_pool",
]

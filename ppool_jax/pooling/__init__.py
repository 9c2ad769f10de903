"""Pooling as pure functions: arrays in, arrays out, no parameters."""

from ppool_jax.pooling.average import avg_pool as avg_pool
from ppool_jax.pooling.detail_preserving import detail_preserving_pool as detail_preserving_pool
from ppool_jax.pooling.extremes import max_pool as max_pool
from ppool_jax.pooling.lp import lp_pool as lp_pool
from ppool_jax.pooling.mixed import gated_pool as gated_pool, mixed_pool as mixed_pool
from ppool_jax.pooling.polynomial import polynomial_pool as polynomial_pool
from ppool_jax.pooling.soft import soft_pool as soft_pool
from ppool_jax.pooling.strided import conv_pool as conv_pool, strided_pool as strided_pool

"""Pooling as pure functions: arrays in, arrays out, no parameters."""

from ppool_jax.pooling.extremes import max_pool as max_pool
from ppool_jax.pooling.polynomial import polynomial_pool as polynomial_pool

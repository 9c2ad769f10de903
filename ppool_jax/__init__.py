"""Polynomial pooling for JAX (Wei et al., CVPR 2019) and every baseline pooling of the paper."""

from ppool_jax.pooling import max_pool as max_pool, polynomial_pool as polynomial_pool

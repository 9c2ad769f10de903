"""Polynomial pooling for JAX (Wei et al., CVPR 2019) and every baseline pooling of the paper.

`ppool_jax.pooling` has the pure functions and `ppool_jax.layers` the Flax Linen layers; both are also
exported here. `ppool_jax.models` has the networks, `ppool_jax.weights` reads pre-trained files, and
`ppool_jax.metrics` computes mIoU.
"""

from ppool_jax import layers, metrics, models, pooling, weights
from ppool_jax.layers import *  # noqa: F403
from ppool_jax.pooling import *  # noqa: F403

__version__ = "0.1.0"

__all__ = ["layers", "metrics", "models", "pooling", "weights"]
__all__ += layers.__all__
__all__ += pooling.__all__

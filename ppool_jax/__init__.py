"""Polynomial pooling for JAX (Wei et al., CVPR 2019) and every baseline pooling of the paper.

Pure functions are in `ppool_jax.pooling`, Flax Linen layers in `ppool_jax.layers`; both are exported
here. `ppool_jax.models` has the networks, `ppool_jax.weights` reads pre-trained files,
`ppool_jax.metrics` has mIoU.
"""

from ppool_jax import metrics, models, weights  # noqa: F401
from ppool_jax.layers import *  # noqa: F403
from ppool_jax.pooling import *  # noqa: F403

__version__ = "0.1.0"

"""Polynomial pooling for JAX (Wei et al., CVPR 2019) and every baseline pooling of the paper.

Pure functions are in `ppool_jax.pooling`, Flax Linen layers in `ppool_jax.layers`; both are exported
here.
"""

from ppool_jax.layers import *  # noqa: F403
from ppool_jax.pooling import *  # noqa: F403

"""Heads: from features to scores; may import the shared modules of `ppool_jax.models`, but no backbone."""

from ppool_jax.models.heads.aspp import ASPP
from ppool_jax.models.heads.fcn8s import FCN8s
from ppool_jax.models.heads.linear import FullyConvolutionalHead, LinearHead

__all__ = ["ASPP", "FCN8s", "FullyConvolutionalHead", "LinearHead"]

"""Heads, from features to class scores; all of `ppool_jax.models` may import them but the backbones."""

from ppool_jax.models.heads.aspp import ASPP
from ppool_jax.models.heads.fcn8s import FCN8s
from ppool_jax.models.heads.linear import FullyConvolutionalHead, LinearHead

__all__ = ["ASPP", "FCN8s", "FullyConvolutionalHead", "LinearHead"]

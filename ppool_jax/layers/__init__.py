"""Pooling layers for Flax Linen, the sources of their exponent alpha, and the names of both in configs."""

from ppool_jax.layers.alpha import Constant, Learned, SideBranch
from ppool_jax.layers.baselines import (
  AllConvPool,
  AvgPool,
  DetailPreservingPool,
  GatedPool,
  LpPool,
  MaxPool,
  MixedPool,
  SoftPool,
  StridedPool,
)
from ppool_jax.layers.polynomial import PolynomialPool
from ppool_jax.layers.range_maps import RANGES, Clip, Exponential, RangeMap, ScaledSigmoid, Softplus
from ppool_jax.layers.registry import (
  ALPHAS,
  POOLS,
  alpha_factory,
  alpha_keywords,
  name_and_keywords,
  pool_factory,
  pool_keywords,
)

__all__ = [
  "ALPHAS",
  "POOLS",
  "RANGES",
  "AllConvPool",
  "AvgPool",
  "Clip",
  "Constant",
  "DetailPreservingPool",
  "Exponential",
  "GatedPool",
  "Learned",
  "LpPool",
  "MaxPool",
  "MixedPool",
  "PolynomialPool",
  "RangeMap",
  "ScaledSigmoid",
  "SideBranch",
  "SoftPool",
  "Softplus",
  "StridedPool",
  "alpha_factory",
  "alpha_keywords",
  "name_and_keywords",
  "pool_factory",
  "pool_keywords",
]

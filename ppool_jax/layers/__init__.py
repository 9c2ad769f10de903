"""Pooling as Flax Linen layers, alpha sources and range maps."""

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
from ppool_jax.layers.range_maps import (
  RANGES,
  Clip,
  Exponential,
  ScaledSigmoid,
  Softplus,
)
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

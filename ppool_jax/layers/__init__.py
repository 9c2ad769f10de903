"""Pooling as Flax Linen layers, alpha sources and range maps."""

from ppool_jax.layers.alpha import Constant as Constant, Learned as Learned, SideBranch as SideBranch
from ppool_jax.layers.baselines import (
  AllConvPool as AllConvPool,
  AvgPool as AvgPool,
  DetailPreservingPool as DetailPreservingPool,
  GatedPool as GatedPool,
  LpPool as LpPool,
  MaxPool as MaxPool,
  MixedPool as MixedPool,
  SoftPool as SoftPool,
  StridedPool as StridedPool,
)
from ppool_jax.layers.polynomial import PolynomialPool as PolynomialPool
from ppool_jax.layers.ranges import (
  Clip as Clip,
  Exponential as Exponential,
  ScaledSigmoid as ScaledSigmoid,
  Softplus as Softplus,
)
from ppool_jax.layers.table import POOLS as POOLS, pool_factory as pool_factory

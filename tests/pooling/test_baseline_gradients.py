"""Gradients of the baseline poolings: exact, in forward and reverse mode, and shared by ties."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from jax.test_util import check_grads

from ppool_jax import (
  avg_pool,
  max_pool,
)
from tests.helpers.baselines import GEOMETRIES, POOLS, build, dpp, gradients

# DPP bends within hundredths: steps are small.
TOLERANCE = {"atol": 1e-6, "rtol": 1e-6, "eps": 1e-6}


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("name", POOLS)
def test_float64_gradients(name, geometry):
  """The derivatives for x and every parameter, forward and reverse, agree with differences of the values."""
  pool, parameters, rng = build(name, geometry)
  x = rng.normal(size=(2, 6, 6, 2))
  with jax.enable_x64(True):
    check_grads(jax.jit(pool), (x, *parameters), order=1, modes=("fwd", "rev"), **TOLERANCE)


def with_cotangent(pool, *operands):
  """y, and the derivatives of sum(sin(y)) for every operand."""
  y, back = jax.vjp(pool, *operands)
  return y, back(jnp.cos(y))


@functools.cache
def in_float64(name):
  """A pool of two windows along each axis, its float32 operands, and `with_cotangent` of them in float64."""
  pool, parameters, rng = build(name, "overlap", np.float32)
  operands = np.float32(rng.normal(size=(1, 4, 4, 2))), *parameters
  with jax.enable_x64(True):
    exact = jax.device_get(jax.jit(functools.partial(with_cotangent, pool))(*map(np.float64, operands)))
  return pool, operands, exact


class VariantsTest(chex.TestCase):
  """Values and gradients with jit, without, with `pmap`, and for operands on a device and in NumPy."""

  @chex.all_variants
  @parameterized.parameters(*POOLS)
  def test_value_and_gradients(self, name):
    """They equal those in float64, which other tests check; gradients have the shapes of operands."""
    pool, operands, exact = in_float64(name)
    y, grads = self.variant(functools.partial(with_cotangent, pool))(*operands)
    chex.assert_tree_all_finite((y, grads))
    chex.assert_type(y, np.float32)
    chex.assert_trees_all_equal_shapes_and_dtypes(grads, operands)
    chex.assert_trees_all_close((y, grads), exact, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["soft", "lp"])
def test_second_order(name):
  """The closed-form derivatives of SoftPool and Lp pooling have the right derivatives themselves."""
  pool, parameters, rng = build(name, "tiles")
  with jax.enable_x64(True):
    x = rng.normal(size=(4, 4, 2))
    every = range(1 + len(parameters))
    gradient = jax.grad(lambda x, *z: jnp.sum(jnp.sin(pool(x, *z))), argnums=every)
    check_grads(jax.jit(gradient), (x, *parameters), order=1, modes=("rev",), **TOLERANCE)


def test_ties_of_max_pooling_share():
  """Each of k tied elements receives 1/k of the gradient, in a window cut short by padding too."""
  x = jnp.array([[2, 2, 1], [2, 0, 3], [0, 0, 3]], jnp.float32)[..., None]
  dx = gradients(lambda x: max_pool(x, (2, 2), (2, 2), ((0, 1), (0, 1))), x)[1][0]
  np.testing.assert_allclose(dx[..., 0], [[1 / 3, 1 / 3, 0], [1 / 3, 0, 1], [0.5, 0.5, 1]], rtol=1e-6)


@pytest.mark.parametrize("variant", ["sym_lite", "asym_lite", "asym_raw"])
@pytest.mark.parametrize("value", [100, 1e30])
def test_padding_does_not_reach_the_gradient_of_dpp(variant, value):
  """With equal elements every DPP is the average, and so is its gradient, whatever their distance to 0."""
  x = jnp.broadcast_to(value * jnp.float32([1, -1]), (5, 4, 2))
  args = ((3, 2), (2, 2), ((1, 1), (0, 1)))
  y, (dx, *_) = gradients(lambda x, alpha, lam: dpp(variant)(x, args, alpha, lam), x, 0.5, 3.0)
  chex.assert_trees_all_close(y, avg_pool(x, *args), rtol=1e-6, strict=True)
  chex.assert_trees_all_close(dx, gradients(lambda x: avg_pool(x, *args), x)[1][0], rtol=1e-5, strict=True)

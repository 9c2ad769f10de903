"""Baseline poolings of extreme values: zeros, ties, overflow, NaN."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppool_jax import (
  avg_pool,
  mixed_pool,
)
from ppool_jax.pooling.depthwise import depthwise_conv
from tests.helpers.baselines import GEOMETRIES, WINDOWED, build, gradients

LARGEST = 3e38


def images(dtype):
  """Images of zeros, ties, zeros among others, both signs, and sizes from 1e-40 to 1e30, `[N, 6, 6, 2]`."""
  rng, shape = np.random.default_rng(1), (6, 6, 2)
  relu = np.maximum(rng.normal(size=shape), 0)
  signs = rng.choice([-1, 1], shape)
  sizes = 10.0 ** rng.integers(-40, 31, shape)
  tied = rng.integers(-2, 3, shape)
  same = [np.full(shape, value) for value in (0, 1, -1, 1e-40, 1e30, -1e30)]
  one = np.zeros(shape)
  one[3, 3] = 1e30
  return jnp.asarray(np.stack([*same, one, relu, tied, sizes, sizes * signs, -sizes, relu * 1e30]), dtype)


@pytest.mark.parametrize(
  ("geometry", "dtype"), [("tiles", jnp.float32), ("overlap", jnp.float32), ("overlap", jnp.bfloat16)]
)
@pytest.mark.parametrize("name", WINDOWED)
def test_finite_for_every_image(name, geometry, dtype):
  """Values and gradients are finite on all-zero windows, ties, zeros and sizes to 1e30, padding or not."""
  pool, parameters, _ = build(name, geometry, np.float32)
  x = images(dtype)
  y, grads = gradients(pool, x, *parameters)
  chex.assert_tree_all_finite((y, grads))
  chex.assert_type(y, dtype)
  chex.assert_trees_all_equal_shapes_and_dtypes(grads, (x, *parameters))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("name", ["max", "avg", "soft", "lp"])
def test_finite_at_the_largest_numbers(name, geometry, dtype):
  """For x >= 0 nothing overflows but y itself, up to 3e38; y stays within the window's range or above it."""
  pool, _, rng = build(name, geometry)
  x = np.zeros((4, 6, 6, 2))
  x[0, 2, 3] = x[1, 2, 3] = LARGEST
  x[1] += rng.uniform(0, 1, x[1].shape)
  if name != "lp":  # two such elements already overflow y
    x[2], x[3] = LARGEST, LARGEST * rng.choice([0, 0.5, 1], x[3].shape)
  parameters = [jnp.float32([1.5, 3])] if name == "lp" else []
  y, grads = gradients(pool, jnp.asarray(x, dtype), *parameters)
  assert float(y.max()) > 0.9 * LARGEST / (6 if name == "avg" else 1)
  chex.assert_tree_all_finite((y, grads))


@pytest.mark.parametrize("padding", ["VALID", ((1, 1),)])
def test_average_of_elements_whose_sum_overflows(padding):
  """The value is right, not only finite: XLA takes a constant power of two out of a sum."""
  x = np.float32([[3e38, 3e38, 0, 0], [3e38, 3e38, 3e38, 0], [3e38, -3e38, 3e38, 3e38], [1e38] * 4])[
    ..., None
  ]
  exact = np.float64(x).mean(1, keepdims=True) if padding == "VALID" else None
  for pool in (avg_pool, lambda x, *args: mixed_pool(x, 0.0, *args)):
    y = np.float64(jax.jit(lambda x, pool=pool: pool(x, (4,), (4,), padding))(x))
    want = exact if exact is not None else np.float64(x)[:, :3].mean(1, keepdims=True)
    chex.assert_trees_all_close(y[:, :1], want, rtol=1e-6, strict=True)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("name", [name for name in WINDOWED if not name.endswith("full")])
def test_nan_stays_in_its_windows(name, geometry):
  """A NaN makes the windows that hold it NaN, in its channel, and no others."""
  pool, parameters, rng = build(name, geometry, np.float32)
  x = np.float32(rng.normal(size=(2, 6, 6, 2)))
  x[1, 2, 3, 1] = np.nan
  args = GEOMETRIES[geometry]
  holds = jax.jit(lambda x: depthwise_conv(x, jnp.ones((*args[0], 1)), *args[1:]))(np.float32(np.isnan(x)))
  chex.assert_trees_all_equal(np.isnan(jax.jit(pool)(x, *parameters)), np.asarray(holds) > 0, strict=True)

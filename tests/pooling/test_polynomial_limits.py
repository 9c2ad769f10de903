"""alpha = 0 and alpha = inf, any geometry, and the authors' worked example."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen
from hypothesis import given, settings, strategies as st

from ppool_jax import max_pool, polynomial_pool
from tests.helpers import reference as ref

pytestmark = pytest.mark.optimized

LARGE = ((3, 33, 34, 8), ((3, 3), (2, 2), "SAME"))


def results(pool, x, *args):
  """y, and the gradients for an irregular cotangent, of a jitted pool(x, *args)."""

  def run(cotangent, *inputs):
    y, back = jax.vjp(pool, *inputs)
    return y, *back(cotangent)

  cotangent = cotangent_like(jax.eval_shape(pool, x, *args).shape)
  return tuple(np.asarray(z) for z in jax.jit(run)(cotangent, x, *args))


def cotangent_like(shape):
  """A cotangent without symmetries, which could hide an error."""
  return np.random.default_rng(9).uniform(0.5, 2, shape).astype(np.float32)


def ours(alpha, x, args):
  """y and dx of polynomial pooling."""
  return results(lambda x: polynomial_pool(x, alpha, *args), x)


def flax(alpha, x, args):
  """y and dx of Flax's pooling for alpha = 0 or inf, with one batch axis, as it fails for two with pairs."""

  def pool(x):
    folded = x.reshape(-1, *x.shape[-len(args[0]) - 1 :])
    y = linen.max_pool(folded, *args) if alpha else linen.avg_pool(folded, *args, count_include_pad=False)
    return y.reshape(*x.shape[: -len(args[0]) - 1], *y.shape[1:])

  return results(pool, x)


def distinct(rng, shape):
  """Positive numbers, no two of which are equal."""
  return np.float32((1 + rng.permutation(int(np.prod(shape))).reshape(shape)) / np.prod(shape))


@settings(max_examples=20)
@given(case=ref.cases(), seed=st.integers(0, 2**16))
def test_any_geometry_against_the_formula(case, seed):
  """Y, dx, dalpha for any window, stride, padding and alpha, with zeros and ties."""
  rng = np.random.default_rng(seed)
  x = np.float32(rng.integers(-3, 6, case.shape) / 4)
  alpha = np.float32(rng.choice([0, 0.3, 1, 6, 35, np.inf], ref.out_shape(case.shape, *case.args)))
  y, dx, dalpha = results(lambda x, a: polynomial_pool(x, a, *case.args), x, alpha)
  chex.assert_equal_shape([y, dalpha, alpha])
  chex.assert_trees_all_close(y, np.float64(ref.pool(x, alpha, *case.args)), rtol=3e-6, atol=3e-6)
  exact = jax.tree.map(np.float64, ref.pullback(x, alpha, cotangent_like(alpha.shape), *case.args))
  chex.assert_trees_all_close((dx, dalpha), exact, rtol=3e-5, atol=3e-5)


@settings(max_examples=8)
@given(case=ref.cases(), seed=st.integers(0, 2**16))
def test_alpha_zero_is_average_pooling(case, seed):
  """Alpha = 0 is Flax's average pooling without padding, value and gradient, zeros included."""
  x = np.float32(np.random.default_rng(seed).integers(-3, 6, case.shape) / 4)
  chex.assert_trees_all_close(ours(0.0, x, case.args), flax(0.0, x, case.args), rtol=1e-6, atol=1e-6)


@settings(max_examples=8)
@given(case=ref.cases(), seed=st.integers(0, 2**16))
def test_alpha_infinity_is_max_pooling(case, seed):
  """Alpha = inf is Flax's max pooling bit for bit; so is the gradient where there are no ties."""
  x = distinct(np.random.default_rng(seed), case.shape)
  y, dx = ours(np.inf, x, case.args)
  most, most_dx = flax(np.inf, x, case.args)
  chex.assert_trees_all_equal(y, most, strict=True)
  chex.assert_trees_all_close(dx, most_dx, rtol=1e-6, strict=True)


@pytest.mark.parametrize("alpha", [0.0, np.inf])
def test_limits_on_many_windows(alpha):
  """With mixed signs and a positive element in each window: Flax's value and gradient at 0 and inf."""
  x = distinct(np.random.default_rng(1), LARGE[0]) - np.float32(0.25)
  (y, dx), (flax_y, flax_dx) = ours(alpha, x, LARGE[1]), flax(alpha, x, LARGE[1])
  assert alpha == 0 or flax_y.min() > 0
  tolerance = 0 if alpha else 1e-6
  chex.assert_trees_all_close(y, flax_y, rtol=tolerance, atol=tolerance, strict=True)
  chex.assert_trees_all_close(dx, flax_dx, rtol=1e-6, strict=True)


@pytest.mark.parametrize("pool", [lambda x, *a: polynomial_pool(x, np.inf, *a), max_pool])
def test_ties_share_the_maximum_gradient(pool):
  """K ties of the maximum receive 1/k each, all-zero windows included, at the border too."""
  shape, args = LARGE
  x = np.maximum(np.float32(np.random.default_rng(2).integers(-6, 3, shape)), 0)
  y, dx = results(lambda x: pool(x, *args), x)
  expected, cotangent = np.zeros(shape), cotangent_like(y.shape)
  for place, slices in ref.places(shape[1:3], *args):
    tie = x[:, *slices] == x[:, *slices].max((1, 2), keepdims=True)
    expected[:, *slices] += cotangent[:, *place][:, None, None] * tie / tie.sum((1, 2), keepdims=True)
  chex.assert_trees_all_equal(y, linen.max_pool(x, *args), strict=True)
  chex.assert_trees_all_close(dx, expected, rtol=1e-6)


def test_max_pool_of_negative_input():
  """Padding is in no window of `max_pool` either: its zeros are not the maximum of negative elements."""
  x = distinct(np.random.default_rng(3), LARGE[0]) - np.float32(2)
  found = results(lambda x: max_pool(x, *LARGE[1]), x)
  chex.assert_trees_all_close(found, flax(np.inf, x, LARGE[1]), rtol=1e-6, strict=True)


def test_limits_are_approached_continuously():
  """The floor makes y continuous at alpha = 0, where Eq. 1 is not: y of {0, 0, 0, 4} is 1 there, not 4."""
  x = jnp.array([0.0, 0.0, 0.0, 4.0]).reshape(4, 1)
  y = [float(polynomial_pool(x, a, (4,))[0, 0]) for a in (0.0, 1e-7, 1e-4, 1e4, np.inf)]
  np.testing.assert_allclose(y, [1, 1, 1.001248, 4, 4], rtol=2e-6)


def test_all_zero_window():
  """A window of zeros pools to 0 for every alpha; its gradient is shared, dalpha is 0."""
  alpha = np.float32([0, 1, 35, np.inf]).reshape(4, 1, 1)
  y, dx, dalpha = results(lambda x, a: polynomial_pool(x, a, (4,)), np.zeros((4, 4, 1), np.float32), alpha)
  chex.assert_trees_all_equal((y, dalpha), (np.zeros_like(alpha),) * 2, strict=True)
  chex.assert_trees_all_close(dx, np.broadcast_to(cotangent_like((4, 1, 1)) / 4, (4, 4, 1)), rtol=1e-6)


@pytest.mark.parametrize("floor", [2.0**-60, 1e-10, 2.0**-24, 0.5])
def test_small_elements_have_finite_gradients_for_every_floor(floor):
  """At alpha = inf, 1 / floor is multiplied by the largest alpha that is computed with."""
  x = np.float32([1, 1e-9, 3e-18, 0]).reshape(1, 4, 1) * np.ones((4, 1, 1), np.float32)
  alpha = np.float32([0, 1, 35, np.inf]).reshape(4, 1, 1)
  y, dx, dalpha = results(lambda x, a: polynomial_pool(x, a, (4,), floor=floor), x, alpha)
  chex.assert_tree_all_finite((y, dx, dalpha))
  assert y[-1] == 1
  np.testing.assert_array_equal(dx[-1, :, 0] != 0, [True, False, False, False])


@pytest.mark.parametrize("top", [-1.0, -1e-3, -1e30])
def test_window_without_positive_element_is_the_mean(top):
  """The contract: all weights are equal where m <= 0, and dalpha is 0 there, for every alpha."""
  x = np.float32([1, 2, 3, 6]).reshape(1, 4, 1) * np.float32(top) * np.ones((4, 1, 1), np.float32)
  alpha = np.float32([0, 1, 35, np.inf]).reshape(4, 1, 1)
  y, dx, dalpha = results(lambda x, a: polynomial_pool(x, a, (4,)), x, alpha)
  equal = np.broadcast_to(cotangent_like((4, 1, 1)) / 4, (4, 4, 1))
  chex.assert_trees_all_close((y, dx), (np.full((4, 1, 1), 3 * top), equal), rtol=1e-6)
  chex.assert_trees_all_equal(dalpha, np.zeros_like(alpha), strict=True)


def test_authors_example():
  """The authors' only test, at p = 2 with one row of padding; some of its own numbers are wrong."""
  x = jnp.array([[1.0, 2.0], [3.0, 4.0]])[..., None]
  alpha = jnp.full((3, 3, 1), 2.0)
  pool = lambda x, a: polynomial_pool(x, a, (2, 2), None, ((1, 1), (1, 1)))  # noqa: E731
  y, back = jax.vjp(pool, x, alpha)
  dx, dalpha = back(jnp.ones_like(y))
  np.testing.assert_allclose(y[..., 0], [[1, 1.8, 2], [2.8, 10 / 3, 3.6], [3, 3.64, 4]], rtol=1e-6)
  np.testing.assert_allclose(dx[..., 0], [[0.4978, 1.7956], [2.4597, 3.4263]], atol=5e-5)
  expected = [[0, 0.1109, 0], [0.1978, 0.2598, 0.2218], [0, 0.0663, 0]]
  np.testing.assert_allclose(dalpha[..., 0], expected, atol=5e-5)

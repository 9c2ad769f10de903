"""Values of `polynomial_pool`: finite and bounded everywhere, precise."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppool_jax import polynomial_pool
from tests.helpers import reference as ref

pytestmark = pytest.mark.optimized

MAX, TINY = np.finfo(np.float32).max, np.finfo(np.float32).tiny
SHIFTS = (None, "window", "channel", "example", "tensor")
ALPHAS = np.float32([0, 1e-38, 1e-6, 0.3, 1, 20, 110, 1e4, 1e30, 3e38, np.inf])


def ulp(size, dtype=np.float32):
  """The distance from |size| to the next larger number of `dtype`, for normal numbers."""
  info = jnp.finfo(dtype)
  exponent = np.floor(np.log2(np.maximum(np.abs(np.float64(size)), float(info.tiny))))
  return np.float64(info.eps) * 2.0**exponent


def column(windows):
  """`[N, n]` windows as an input `[N, n, 1]` of N examples."""
  return np.asarray(windows)[..., None]


def of_columns(x, alpha, **kwargs):
  """Pools every column to one value: x `[N, n, 1]`, alpha `[A]` or `[A, N]`; the result `[A, N]`."""
  alpha = jnp.reshape(alpha, (len(alpha), -1, 1, 1))

  def pool(a):
    a = jnp.broadcast_to(a, (x.shape[0], 1, 1))
    return polynomial_pool(x, a, (x.shape[1],), **kwargs)[:, 0, 0]

  return np.asarray(jax.jit(jax.vmap(pool))(alpha))


def extreme_windows(rng, count, size=4):
  """Windows over the whole range of float32: zeros, ties, smallest and largest numbers, both signs."""
  special = np.float32(
    [0, -0.0, TINY, 2 * TINY, 1e-30, 1, 1 + 2e-7, 2, 1e30, MAX / 2, np.nextafter(MAX, 0), MAX]
  )
  some = rng.choice(special, (count, size)) * rng.choice(np.float32([1, -1]), (count, size))
  wide = np.float32(2.0 ** rng.uniform(-125, 127.9, (count, size))) * rng.choice([1, -1], (count, size))
  near = np.float32(2.0 ** rng.uniform(-120, 120, (count, 1))) * (
    1 + rng.integers(0, 4, (count, size)) * 2e-7
  )
  every = np.float32(np.concatenate([some, wide, near]))
  return np.concatenate([every, np.abs(every), -np.abs(every)])


@pytest.mark.parametrize("shift", SHIFTS)
def test_finite_and_within_window_for_every_finite_input(shift):
  """Y is finite and within one ulp of max|R| of the window's range, whatever x and alpha."""
  x = extreme_windows(np.random.default_rng(0), 700)
  y = of_columns(column(x), ALPHAS, shift=shift)
  chex.assert_tree_all_finite(y)
  slack = ulp(np.abs(x).max(1))
  assert (np.float64(y) >= np.float64(x.min(1)) - slack).all()
  assert (np.float64(y) <= np.float64(x.max(1)) + slack).all()


@pytest.mark.parametrize("shift", SHIFTS)
def test_extremes_against_the_formula(shift):
  """Over the whole range of float32, where x - s overflows too: 2e-6 of max|R| to alpha = 35."""
  x = extreme_windows(np.random.default_rng(7), 700)
  alpha = np.float32([0, 0.3, 1, 5, 35])
  y = of_columns(column(x), alpha, shift=shift)
  exact = np.stack([ref.pool(column(x), a, (x.shape[1],), shift=shift)[:, 0, 0] for a in alpha])
  assert (np.abs(y - exact) <= 2e-6 * np.abs(x).max(1) + 4 * TINY).all()


@pytest.mark.parametrize("size", [4, 9])
def test_does_not_fall_as_alpha_rises(size):
  """Y does not decrease in alpha, to one ulp of max|R|, for alphas at least 1e-4 apart."""
  rng = np.random.default_rng(1)
  x = np.concatenate([extreme_windows(rng, 500, size), np.float32(rng.uniform(-1, 1, (2000, size)))])
  x = np.concatenate([x, np.float32(rng.uniform(0, 1, (6000, size)))])
  alpha = np.sort(np.exp(rng.uniform(np.log(1e-3), np.log(1e5), 40)).astype(np.float32))
  alpha = np.concatenate([[0], alpha[np.diff(alpha, prepend=0) > 2e-4 * alpha], [1e30, np.inf]])
  fall = -np.diff(np.float64(of_columns(column(x), alpha)), axis=0)
  assert (fall <= ulp(np.abs(x).max(1))).all()


def test_hardly_falls_between_adjacent_alphas():
  """Between alphas one ulp apart, y may decrease, rarely and by few ulps."""
  rng = np.random.default_rng(2)
  x = np.float32(rng.uniform(0, 1, (50_000, 4)))
  low = np.exp(rng.uniform(np.log(1e-2), np.log(100), len(x))).astype(np.float32)
  y = np.float64(of_columns(column(x), np.stack([low, np.nextafter(low, np.float32(np.inf))])))
  fall = (y[0] - y[1]) / ulp(x.max(1))
  assert fall.max() <= 4
  assert np.mean(fall > 1) <= 1e-3


@pytest.mark.parametrize("shift", SHIFTS)
def test_nan_stays_in_its_windows(shift):
  """A NaN reaches its windows (with shift: its scope), and changes no bit of others."""
  rng = np.random.default_rng(3)
  x = np.float32(rng.normal(size=(2, 7, 7, 2)))
  broken = x.copy()
  broken[0, 3, 2, 1] = np.nan
  args = (3, 3), (2, 2), ((1, 1), (0, 2))
  pool = jax.jit(lambda x: polynomial_pool(x, alpha, *args, shift=shift))
  expected = np.zeros(ref.out_shape(x.shape, *args), bool)
  alpha = rng.choice(ALPHAS, expected.shape)
  reach = {"channel": np.s_[0, ..., 1], "example": np.s_[0], "tensor": np.s_[:]}
  if shift in reach:
    expected[reach[shift]] = True
  for place, slices in ref.places(x.shape[1:3], *args):
    expected[0, *place, 1] |= np.isnan(broken[0, *slices, 1]).any()
  y = np.asarray(pool(broken))
  chex.assert_trees_all_equal(np.isnan(y), expected, strict=True)
  chex.assert_trees_all_equal(y[~expected], np.asarray(pool(x))[~expected], strict=True)


def test_negative_alpha_in_a_computation_gives_nan():
  """A traced alpha below 0, which cannot be checked, gives NaN in its own windows only."""
  x = jnp.ones((1, 6, 1))
  y = jax.jit(lambda a: polynomial_pool(x, a, (2,), (2,)))(jnp.array([[1.0], [-1.0], [0.0]]))
  np.testing.assert_array_equal(np.isnan(y).ravel(), [False, True, False])


def precision_windows(size, seed=4):
  """Non-negative windows of every spread, from ties to the whole range of float32, and with zeros."""
  rng = np.random.default_rng(seed)
  spread = 10 ** rng.uniform(-7, 1.2, (6000, 1))
  x = np.exp(spread * rng.normal(size=(6000, size))) * (rng.uniform(size=(6000, size)) > 0.1)
  x *= 2.0 ** rng.integers(-60, 60, (6000, 1))
  x = np.clip(np.concatenate([x, rng.uniform(size=(6000, size))]), 0, 1e38)
  return np.float32(np.where(x < 1e-37, 0, x))


@pytest.mark.parametrize("size", [2, 4, 9, 36])
@pytest.mark.parametrize("signs", ["non-negative", "mixed"])
def test_float32_precision(size, signs):
  """2e-6 to alpha 35, 1e-5 to 110, of y for x >= 0 and of max|R| for mixed signs."""
  rng = np.random.default_rng(5)
  x = precision_windows(size)
  if signs == "mixed":
    x *= rng.choice(np.float32([1, -1]), x.shape)
  alpha = np.float32(
    [rng.uniform(0, 35, len(x)), rng.choice([1e-3, 0.1, 1, 35], len(x)), rng.uniform(35, 110, len(x))]
  )
  y = of_columns(column(x), alpha)
  exact = np.stack([ref.pool(column(x), a[:, None, None], (size,))[:, 0, 0] for a in alpha])
  unit = exact if signs == "non-negative" else np.broadcast_to(np.abs(x).max(1), exact.shape)
  error = np.abs(y - exact) / np.maximum(unit, TINY)
  assert error[:2].max() <= 2e-6
  assert error[2].max() <= 1e-5


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_sixteen_bits_within_an_ulp_of_float32(dtype):
  """16-bit inputs are computed in float32 and rounded once."""
  rng = np.random.default_rng(6)
  x = jnp.asarray(np.exp(rng.normal(0, 2, (20_000, 4))) * rng.choice([1, 1, 1, -1], (20_000, 4)), dtype)
  alpha = np.float32(rng.uniform(0, 110, (1, len(x))))
  y = of_columns(x[..., None], alpha)
  chex.assert_type(y, dtype)
  wide = of_columns(x[..., None].astype(jnp.float32), alpha)
  assert (np.abs(np.float64(y) - np.float64(wide)) <= ulp(wide, dtype)).all()

"""Helpers of the tests of docs/THEORY.md: the functions in float64, their formulas, and strategies."""

import pathlib

import chex
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from flax import linen
from hypothesis import strategies as st

from ppool_jax import avg_pool, lp_pool, max_pool, polynomial_pool

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "THEORY.md").read_text()
FLOOR = 2.0**-24
LOG_FLOOR = -np.log(FLOOR)
SIZE = 5

positive = st.lists(st.sampled_from([0.25, 1.0]) | st.floats(1e-3, 1), min_size=SIZE, max_size=SIZE)
# Zeros, ties, and elements just below, at and just above the floor of a window whose largest element is 1.
not_negative = st.lists(
  st.sampled_from([0.0, 1e-9, FLOOR, 1e-7, 0.5, 1.0]) | st.floats(1e-6, 1), min_size=SIZE, max_size=SIZE
)
# Multiples of 1e-3: the library limits the ratio of a negative element to a positive one in derivatives.
signed = st.lists(st.integers(-1000, 1000).map(lambda z: z / 1000), min_size=SIZE, max_size=SIZE)
alphas = st.sampled_from([0.0, 0.1, 1.0, 20.0]) | st.floats(0, 40)


def p_pool(x, alpha, shift=None):
  """P-pooling of one window."""
  return polynomial_pool(x[:, None], alpha, x.shape, shift=shift)[0, 0]


def shifted_p_pool(x, alpha):
  """P-pooling of one window with Eq. 2."""
  return p_pool(x, alpha, "window")


def lp(x, p):
  """Lp pooling of one window."""
  return lp_pool(x[:, None], p, x.shape)[0, 0]


def average(x, _):
  """Average pooling of one window."""
  return avg_pool(x[:, None], x.shape)[0, 0]


def maximum(x, _):
  """Max pooling of one window, ties sharing the gradient."""
  return max_pool(x[:, None], x.shape)[0, 0]


def flax_maximum(x, _):
  """Max pooling of one window by XLA."""
  return linen.max_pool(x[None, :, None], x.shape)[0, 0, 0]


_with_gradients = jax.jit(
  lambda pool, x, exponent: jax.value_and_grad(pool, (0, 1))(x, exponent), static_argnums=0
)


def gradients(pool, x, exponent):
  """y, dy/dx `[n]` and dy/dexponent of `pool(x, exponent)` in float64."""
  with jax.enable_x64(True):
    y, (dx, dexponent) = _with_gradients(pool, jnp.asarray(x, jnp.float64), jnp.float64(exponent))
    chex.assert_type([y, dx, dexponent], jnp.float64)
    chex.assert_tree_all_finite((y, dx, dexponent))
  chex.assert_shape(dx, (len(x),))
  return float(y), np.asarray(dx), float(dexponent)


def floored(x):
  """v of the page's Notation."""
  return np.maximum(x, FLOOR * np.max(x))


def weights(x, alpha):
  """w of the page's Notation, for windows with m > 0."""
  w = (floored(x) / np.max(x)) ** alpha
  return w / w.sum()


def covariance(w, a, b):
  """Cov_w(a, b)."""
  return w @ ((a - w @ a) * (b - w @ b))


def eq_1(alpha, *x):
  """Eq. 1 in mpmath; a zero element has weight 0^alpha, that is 1 at alpha = 0."""
  x = [mpmath.mpf(z) for z in x]
  return mpmath.fsum(z ** (alpha + 1) for z in x) / mpmath.fsum(z**alpha for z in x)


def floored_eq_1(alpha, *x):
  """The function of section 2 in mpmath."""
  w = [max(z, FLOOR * max(x)) ** alpha for z in x]
  return mpmath.fdot(w, x) / mpmath.fsum(w)


def lp_mean(p, *x, count=1):
  """(sum x^p / count)^(1/p) in mpmath."""
  return (mpmath.fsum(z**p for z in x) / count) ** (1 / mpmath.mpf(p))


def derivatives(function, *point):
  """Partial derivatives of a function, by central differences with 60 digits."""
  with mpmath.workdps(60):
    point, partials = [mpmath.mpf(z) for z in point], []
    for i, z in enumerate(point):
      step = mpmath.mpf(10) ** -20 * (abs(z) or mpmath.mpf(10) ** -10)
      low, high = (function(*point[:i], z + sign * step, *point[i + 1 :]) for sign in (-1, 1))
      partials.append(float((high - low) / (2 * step)))
  return np.array(partials)

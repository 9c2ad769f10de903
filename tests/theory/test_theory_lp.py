"""docs/THEORY.md, section 7: Lp pooling."""

import functools

import chex
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st

from ppool_jax import lp_pool
from tests.helpers.theory import (
  SIZE,
  derivatives,
  gradients,
  lp,
  lp_mean,
  positive,
)

pytestmark = pytest.mark.optimized


def lp_closed_form(x, p):
  """dy/dx and dy/dp of the page, for positive elements."""
  x = np.array(x)
  y = (x**p).sum() ** (1 / p)
  shares = (x / y) ** p
  return (x / y) ** (p - 1), y * (shares @ np.log(shares)) / p**2


@given(x=positive, p=st.floats(0.2, 10))
def test_lp_gradients(x, p):
  """Both closed forms are the formula's derivatives and, for p >= 1, the library's; y lies in [m, N m]."""
  dx, dp = lp_closed_form(x, p)
  np.testing.assert_allclose([dp, *dx], derivatives(lp_mean, p, *x), rtol=1e-9, atol=1e-13)
  assert dp <= 0
  if p >= 1:
    y, *library = gradients(lp, x, p)
    chex.assert_trees_all_close(library, [dx, dp], rtol=1e-9, atol=1e-13)
    assert max(x) - 1e-12 <= y <= SIZE * max(x) + 1e-12


def test_lp_explodes_at_p_zero():
  """Value and gradients approach the stated asymptotes, which diverge; from below y goes to 0."""
  x, p = np.array([1.0, 0.5, 0.25]), 0.005
  n, g = len(x), np.exp(np.log(x).mean())
  dx, dp = lp_closed_form(x, p)
  np.testing.assert_allclose(float(lp_mean(p, *x)), g * n ** (1 / p), rtol=1e-2)
  np.testing.assert_allclose(dx, g / (n * x) * n ** (1 / p), rtol=2e-2)
  np.testing.assert_allclose(dp, -np.log(n) / p**2 * g * n ** (1 / p), rtol=2e-2)
  assert dx.min() > 1e90
  assert lp_mean(-p, *x) < 1e-90


def test_power_mean_is_finite_at_p_zero():
  """With a mean y tends to the geometric mean, and d log y / dp to half the variance of log x."""
  x, p = np.array([1.0, 0.5, 0.25]), 1e-6
  mean = functools.partial(lp_mean, count=len(x))
  by_p, *dx = derivatives(mean, p, *x)
  with mpmath.workdps(60):
    y = float(mean(mpmath.mpf(p), *map(mpmath.mpf, x)))
  g = np.exp(np.log(x).mean())
  np.testing.assert_allclose([y, by_p / y], [g, np.log(x).var() / 2], rtol=1e-5)
  np.testing.assert_allclose(dx, g / (len(x) * x), rtol=1e-5)


def test_lp_at_p_one():
  """Gradients are finite; a small element's tends to inf, 1 or 0, and changes with p as log(x / y)."""
  window = [1.0, 0.5, 1e-9]
  y, dx, dp = gradients(lp, window, 1)
  shares = np.array(window) / y
  np.testing.assert_allclose(dx, 1, rtol=1e-14)
  np.testing.assert_allclose(dp, y * (shares @ np.log(shares)), rtol=1e-12)
  assert lp_closed_form([1, 0.5, 1e-300], 0.9)[0][2] > 1e29
  np.testing.assert_allclose(gradients(lp, [1, 0.5, 1e-300], 1)[1][2], 1)
  assert gradients(lp, [1, 0.5, 1e-300], 1.1)[1][2] < 1e-29
  slope = derivatives(lambda p: (window[2] / lp_mean(p, *window)) ** (p - 1), 1)[0]
  np.testing.assert_allclose(slope, np.log(window[2] / y), rtol=1e-12)
  with pytest.raises(ValueError, match=r"p: expected .*0\.9"):
    lp_pool(jnp.ones((3, 1)), 0.9, (3,))


@pytest.mark.parametrize("p", [1.0, 2.0, 7.0])
def test_lp_all_zero_window(p):
  """An all-zero window has the gradient of an all-equal one, N^(1/p-1) each."""
  for value in (0.0, 0.3):
    np.testing.assert_allclose(gradients(lp, [value] * SIZE, p)[1], SIZE ** (1 / p - 1), rtol=1e-13)

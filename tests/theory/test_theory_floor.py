"""docs/THEORY.md, section 2: the floored function."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.helpers.theory import (
  FLOOR,
  LOG_FLOOR,
  PAGE,
  alphas,
  covariance,
  derivatives,
  eq_1,
  floored,
  floored_eq_1,
  gradients,
  not_negative,
  p_pool,
  signed,
  weights,
)

pytestmark = pytest.mark.optimized


def test_eq_1_jumps_at_alpha_zero():
  """Eq. 1 goes from 1 to 4 on 0, 0, 0, 4; the library's function does not jump."""
  window = [0, 0, 0, 4]
  assert eq_1(0, *window) == 1
  assert float(eq_1(mpmath.mpf(10) ** -12, *window)) == pytest.approx(4, rel=1e-14)
  np.testing.assert_allclose([gradients(p_pool, window, a)[0] for a in (0, 1e-12)], 1, atol=1e-10)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_eq_1_slope_at_a_zero_element(alpha):
  """As x_i -> 0 the slope of Eq. 1 is -alpha x_i^(alpha-1) y / S: -inf, -y / sum x or 0."""
  others, small = [1.0, 0.75, 0.5], [1e-10, 1e-14]
  slopes = [derivatives(lambda z: eq_1(alpha, z, *others), x)[0] for x in small]
  y, s = float(eq_1(alpha, *others)), sum(np.array(others) ** alpha)
  expected = [-alpha * x ** (alpha - 1) * y / s for x in small]
  np.testing.assert_allclose(slopes, expected, rtol=1e-4)


def floored_derivatives(x, alpha):
  """The table of section 2 and dy/dalpha, for windows with m > 0."""
  x, w, m = np.array(x), weights(x, alpha), np.max(x)
  y, log = w @ x, np.log(floored(x) / m)
  below, largest = x <= FLOOR * m, x == m
  between = ~below & ~largest
  dx = w * np.where(between, 1 + alpha * (1 - y / np.where(between, x, 1)), 1)
  loss = alpha / (largest.sum() * m) * (w * (x - y))[between].sum()
  return dx - np.where(largest, loss, 0), w @ (log * (x - y))


@given(x=st.one_of(not_negative, signed).filter(lambda x: max(x) > 0), alpha=alphas)
def test_floored_derivative(x, alpha):
  """The table is the library's gradient, at ties and kinks too, and dy/dalpha is a covariance."""
  _, dx, dalpha = gradients(p_pool, x, alpha)
  table, by_alpha = floored_derivatives(x, alpha)
  np.testing.assert_allclose(dx, table, rtol=1e-9, atol=1e-12)
  np.testing.assert_allclose(dalpha, by_alpha, rtol=1e-9, atol=1e-14)
  covariant = covariance(weights(x, alpha), np.log(floored(x)), np.array(x))
  np.testing.assert_allclose(dalpha, covariant, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 7.0])
@pytest.mark.parametrize("window", [(0.8, 0.5, 0.0, 1e-9, 0.1), (0.8, -0.3, 0.0, 0.7, 2e-7)])
def test_floored_derivative_by_differences(window, alpha):
  """The table is the derivative of the formula, away from kinks."""
  dx, dalpha = floored_derivatives(window, alpha)
  np.testing.assert_allclose([dalpha, *dx], derivatives(floored_eq_1, alpha, *window), rtol=1e-9, atol=1e-13)


@given(x=not_negative.filter(lambda x: max(x) > 0), alpha=st.floats(0, 3))
def test_floor_changes_y_little(x, alpha):
  """|y - Eq. 1| <= q floor^alpha m for q floored elements."""
  bound = sum(z <= FLOOR * max(x) for z in x) * FLOOR**alpha * max(x)
  assert abs(gradients(p_pool, x, alpha)[0] - float(eq_1(mpmath.mpf(alpha), *x))) <= bound + 1e-14


@given(x=st.one_of(not_negative, signed), alpha=alphas)
def test_alpha_gradient_is_bounded(x, alpha):
  """dy/dalpha <= log(1/floor) (max - min) / 4, with equality for half zeros at alpha = 0."""
  bound = LOG_FLOOR / 4 * (max(x) - min(x))
  assert gradients(p_pool, x, alpha)[2] <= bound + 1e-14
  assert gradients(p_pool, x, alpha)[0] - np.mean(x) <= alpha * bound + 1e-14
  np.testing.assert_allclose(gradients(p_pool, [0, 0, 3, 3], 0)[2], LOG_FLOOR / 4 * 3, rtol=1e-14)
  assert f"= {LOG_FLOOR / 4:.2f} (m" in PAGE


@given(x=not_negative, alpha=alphas)
def test_x_gradient_is_bounded(x, alpha):
  """-alpha max(1, floor^(alpha-1)) <= dy/dx <= 1 + alpha for x >= 0; the lower bound is nearly reached."""
  _, dx, _ = gradients(p_pool, x, alpha)
  assert dx.max() <= 1 + alpha + 1e-12
  assert dx.min() >= -alpha * max(1, FLOOR ** (alpha - 1)) * (1 + 1e-12)
  worst = 1 / LOG_FLOOR
  bound = worst * FLOOR ** (worst - 1)
  assert -bound < gradients(p_pool, [1, FLOOR * 1.001], worst)[1][1] < -bound / 2
  assert f"$-{bound / 1e5:.1f} \\cdot 10^5$" in PAGE

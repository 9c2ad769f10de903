"""docs/THEORY.md, section 1: the gradients of Eq. 1 and what follows from them."""

import chex
import jax
import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.helpers.theory import (
  SIZE,
  alphas,
  covariance,
  derivatives,
  eq_1,
  floored,
  gradients,
  not_negative,
  p_pool,
  positive,
  signed,
  weights,
)

pytestmark = pytest.mark.optimized


@given(x=positive, alpha=st.floats(0.01, 40))
def test_eq_3_and_eq_4(x, alpha):
  """Both closed forms are the derivatives of Eq. 1, and the library's gradients."""
  y, dx, dalpha = gradients(p_pool, x, alpha)
  x, w = np.array(x), weights(x, alpha)
  np.testing.assert_allclose(y, float(eq_1(alpha, *x)), rtol=1e-13)
  closed = np.array([covariance(w, np.log(x), x), *(w * ((alpha + 1) - alpha * y / x))])
  np.testing.assert_allclose([dalpha, *dx], closed, rtol=1e-11, atol=1e-13)
  np.testing.assert_allclose(closed, derivatives(eq_1, alpha, *x), rtol=1e-11, atol=1e-13)


@given(x=not_negative.filter(any), alpha=alphas)
def test_weights_are_a_softmax(x, alpha):
  """y = sum of softmax(alpha log v) x, with or without a constant added to the logarithms."""
  y, _, _ = gradients(p_pool, x, alpha)
  with jax.enable_x64(True):
    for logs in (np.log(floored(x)), np.log(floored(x) / max(x))):
      np.testing.assert_allclose(y, jax.nn.softmax(alpha * logs) @ np.array(x), rtol=1e-12)
  assert 11**36 < float(np.finfo(np.float32).max) < 12**36


@given(x=signed, alpha=alphas)
def test_y_lies_in_the_range_of_the_window(x, alpha):
  """min <= y <= max for any signs."""
  y, _, _ = gradients(p_pool, x, alpha)
  assert min(x) <= y <= max(x)


@given(x=signed, alpha=alphas, step=st.floats(0.01, 10))
def test_y_rises_with_alpha(x, alpha, step):
  """dy/dalpha is half the sum over pairs, not negative, and 0 for equal elements; y does not fall."""
  y, _, dalpha = gradients(p_pool, x, alpha)
  assert gradients(p_pool, x, alpha + step)[0] >= y - 1e-15
  assert dalpha >= -1e-16
  assert gradients(p_pool, [x[0]] * SIZE, alpha)[2] == 0
  if max(x) > 0:
    x, log, w = np.array(x), np.log(floored(x)), weights(x, alpha)
    pairs = np.subtract.outer(log, log) * np.subtract.outer(x, x)
    assert (pairs >= 0).all()
    np.testing.assert_allclose(dalpha, w @ pairs @ w / 2, rtol=1e-10, atol=1e-14)


@given(x=not_negative, alpha=alphas, scale=st.floats(0.01, 100))
def test_homogeneous_of_degree_one(x, alpha, scale):
  """y and dy/dalpha scale with x, dy/dx does not change, and Euler's theorem holds, floored or not."""
  y, dx, dalpha = gradients(p_pool, x, alpha)
  # Rounding may carry an element over the floor, where dy/dx jumps: scale by a power of two.
  scale = 2.0 ** np.round(np.log2(scale))
  np.testing.assert_allclose(x @ dx, y, rtol=1e-9, atol=1e-15)
  scaled = gradients(p_pool, np.multiply(x, scale), alpha)
  chex.assert_trees_all_close(scaled, (scale * y, dx, scale * dalpha), rtol=1e-12, atol=1e-14)


@given(x=positive, alpha=st.floats(0.01, 20))
def test_not_monotone_in_x(x, alpha):
  """dy/dx_i < 0 exactly where x_i < alpha y / (alpha + 1)."""
  y, dx, _ = gradients(p_pool, x, alpha)
  threshold = alpha * y / (alpha + 1)
  clear = np.abs(np.array(x) - threshold) > 1e-9
  np.testing.assert_array_equal((dx < 0)[clear], (np.array(x) < threshold)[clear])
  assert gradients(p_pool, [1, 1, 1, 1, 0.1], 2)[1][-1] < 0


@given(x=positive, alpha=alphas)
def test_gradient_sum_is_at_most_one(x, alpha):
  """sum dy/dx = 1 + alpha (1 - y E[1/x]) <= 1, so a constant added to x adds at most itself to y."""
  y, dx, _ = gradients(p_pool, x, alpha)
  np.testing.assert_allclose(
    dx.sum(), 1 + alpha * (1 - y * weights(x, alpha) @ (1 / np.array(x))), rtol=1e-10, atol=1e-12
  )
  assert dx.sum() <= 1 + 1e-12
  assert gradients(p_pool, np.array(x) + 0.5, alpha)[0] - y <= 0.5 + 1e-14
  assert gradients(p_pool, [1, 0.5, 0.5, 0.5, 0.5], 2)[1].sum() < 0.9

"""docs/THEORY.md, sections 3 and 4: Propositions 1 and 2."""

import chex
import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.helpers.theory import (
  LOG_FLOOR,
  PAGE,
  SIZE,
  alphas,
  average,
  flax_maximum,
  floored,
  gradients,
  maximum,
  not_negative,
  p_pool,
  shifted_p_pool,
  signed,
)

pytestmark = pytest.mark.optimized

# 3. Proposition 1.


@given(x=st.one_of(not_negative, signed))
def test_proposition_1(x):
  """At alpha = 0 y, dy/dx and dy/dalpha are as stated, and the first two are avg_pool's."""
  y, dx, dalpha = gradients(p_pool, x, 0)
  np.testing.assert_allclose(dx, 1 / SIZE, rtol=1e-14)
  chex.assert_trees_all_close((y, dx), gradients(average, x, 0)[:2], rtol=1e-14, atol=1e-16)
  expected = 0
  if max(x) > 0:
    expected = np.mean((x - np.mean(x)) * np.log(floored(x) / max(x)))
  np.testing.assert_allclose(dalpha, expected, rtol=1e-11, atol=1e-14)


def test_proposition_1_is_a_limit():
  """All three approach their values at 0, zeros and ties included; 0, 0, 0, 4 has dy/dalpha = 12.5."""
  for window in ([0, 0, 0, 4], [1, 1, 0.5, 0], [3, 2, 1, -1]):
    limit, near = gradients(p_pool, window, 0), gradients(p_pool, window, 1e-9)
    chex.assert_trees_all_close(near, limit, rtol=1e-7)
    assert limit[2] > 0.1
  assert f"{gradients(p_pool, [0, 0, 0, 4], 0)[2]:.1f} on the window 0, 0, 0, 4" in PAGE


@pytest.mark.parametrize("alpha", [0, 0.5, 20, np.inf])
def test_all_zero_window(alpha):
  """y = 0, dy/dx = 1/N as average and max pooling have, dy/dalpha = 0, and y(t, ..., t) = t."""
  y, dx, dalpha = gradients(p_pool, [0] * SIZE, alpha)
  chex.assert_trees_all_close((y, dx, dalpha), (0.0, np.full(SIZE, 1 / SIZE), 0.0), rtol=1e-15)
  for pool in (average, maximum):
    chex.assert_trees_all_close(gradients(pool, [0] * SIZE, alpha)[1], dx, rtol=1e-15)
  np.testing.assert_allclose(gradients(p_pool, [1e-6] * SIZE, alpha)[0], 1e-6, rtol=1e-15)


# 4. Proposition 2.


@given(x=st.one_of(not_negative, signed).filter(lambda x: max(x) > 0), alpha=alphas)
def test_proposition_2(x, alpha):
  """m - y and dy/dalpha decay at least as fast as stated, and dy/dx approaches 1/k for the k largest."""
  x, m = np.array(x), np.max(x)
  ties = x == m
  ratio = np.max(floored(x)[~ties] / m, initial=0)
  y, _, dalpha = gradients(p_pool, x, alpha)
  bound = (~ties).sum() / ties.sum() * ratio**alpha * (m - x.min())
  assert -1e-15 <= m - y <= bound + 1e-15
  assert dalpha <= bound * LOG_FLOOR + 1e-14
  if ratio < 0.99:
    dx = gradients(p_pool, x, 5000)[1]
    np.testing.assert_allclose(dx, ties / ties.sum(), atol=1e-12)


@given(x=st.one_of(not_negative, signed).filter(lambda x: max(x) > 0))
def test_proposition_2_at_infinity(x):
  """alpha = inf is max_pool, forward and backward, k ties sharing 1/k, and dy/dalpha = 0."""
  y, dx, dalpha = gradients(p_pool, x, np.inf)
  assert (y, dalpha) == (max(x), 0)
  ties = np.equal(x, max(x))
  np.testing.assert_allclose(dx, ties / ties.sum(), rtol=1e-14)
  np.testing.assert_allclose(gradients(maximum, x, 0)[1], dx, rtol=1e-14)


def test_xla_gives_a_tie_to_one_element():
  """Flax's max pooling agrees with P-pooling at infinity for a unique maximum, and not for a tie."""
  unique, tied = [0.5, 1, 0.25], [0.5, 1, 1]
  assert gradients(flax_maximum, unique, 0)[1].tolist() == gradients(p_pool, unique, np.inf)[1].tolist()
  assert sorted(gradients(flax_maximum, tied, 0)[1]) == [0, 0, 1]
  assert gradients(p_pool, tied, np.inf)[1].tolist() == [0, 0.5, 0.5]
  np.testing.assert_allclose(gradients(p_pool, tied, 1000)[1], [0, 0.5, 0.5], atol=1e-12)


@given(x=signed)
def test_negative_windows_need_the_shift(x):
  """Without Eq. 2 a window without positive elements is averaged; with it both propositions hold."""
  negative = [-1 - abs(z) for z in x]
  np.testing.assert_allclose(gradients(p_pool, negative, np.inf)[0], np.mean(negative), rtol=1e-14)
  for window in (x, negative):
    for alpha, pool in ((0, average), (np.inf, maximum)):
      ours, theirs = gradients(shifted_p_pool, window, alpha), gradients(pool, window, alpha)
      chex.assert_trees_all_close(ours[:2], theirs[:2], rtol=1e-14, atol=1e-15)

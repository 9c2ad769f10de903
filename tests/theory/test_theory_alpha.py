"""docs/THEORY.md, sections 5 and 6: Eq. 2, and the gradient that alpha receives."""

import re

import chex
import jax
import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st

from ppool_jax.layers.range_maps import Clip
from tests.helpers.theory import FLOOR, PAGE, SIZE, alphas, gradients, p_pool, shifted_p_pool

pytestmark = pytest.mark.optimized

# 5. Eq. 2.

shift_cases = st.lists(st.sampled_from([-1.0, 0.5]) | st.floats(-1, 1), min_size=SIZE, max_size=SIZE)


@given(x=shift_cases.filter(lambda x: max(x) - min(x) > 1e-2), alpha=alphas)
def test_eq_2_gradient(x, alpha):
  """dy/dx = g + (1 - sum g) ds/dx with g of the shifted window, ties of the minimum sharing ds."""
  s = min(0, *x)
  f, g, by_alpha = gradients(p_pool, np.subtract(x, s), alpha)
  lowest = np.equal(x, s) & (s < 0)
  ds = lowest / max(lowest.sum(), 1)
  expected = f + s, g + (1 - g.sum()) * ds, by_alpha
  chex.assert_trees_all_close(gradients(shifted_p_pool, x, alpha), expected, rtol=1e-9, atol=1e-12)


@given(x=shift_cases.filter(lambda x: min(x) < -1e-3 and max(x) - min(x) > 1e-2), alpha=alphas)
def test_eq_2_is_shift_equivariant(x, alpha):
  """While the smallest element is negative, dy/dx sums to 1 and y follows a constant added to x."""
  y, dx, _ = gradients(shifted_p_pool, x, alpha)
  np.testing.assert_allclose(dx.sum(), 1, rtol=1e-10)
  np.testing.assert_allclose(gradients(shifted_p_pool, np.subtract(x, 0.5), alpha)[0], y - 0.5, atol=1e-10)
  above = [1.0, 0.5, 0.5, 0.5, 0.0]
  assert gradients(shifted_p_pool, np.add(above, 1), 2)[0] - gradients(shifted_p_pool, above, 2)[0] < 0.98


# 6. The gradient that alpha receives.


def table_after(text):
  """Rows of cells of the first table of the page after a text, without the rule below its head."""
  lines = PAGE[PAGE.index(text) :].split("\n\n|", 1)[1].split("\n\n")[0].splitlines()
  rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
  return [row for row in rows if not set(row[0]) <= {"-"}]


def test_table_of_alpha_gradients():
  """Every number of the page's table; at 20 the first window's gradient is 100 times smaller than at 1."""
  head, *rows = table_after("## 6.")
  columns = [float(re.sub(r"\D", "", cell)) for cell in head[1:]]
  assert len(rows) == 4
  for window, *cells in rows:
    x = [float(z) for z in window.split(",")]
    assert cells == [f"{gradients(p_pool, x, alpha)[2] / max(x):.1e}" for alpha in columns]
  at = dict(zip(columns, rows[0][1:], strict=True))
  assert 90 < float(at[1]) / float(at[20]) < 120


def test_clip_passes_no_gradient_outside():
  """The paper's range map has slope 0 beyond both ends."""
  slopes = [float(jax.grad(Clip(35.0))(raw)) for raw in (-1.0, 20.0, 36.0)]
  assert slopes == [0, 1, 0]


def logistic(u):
  """sigma(u)."""
  return 1 / (1 + np.exp(-u))


@pytest.mark.parametrize("ratio", [0.9, 0.5, 0.1, 0.001, 0.0])
def test_two_element_window(ratio):
  """y and dy/dlog(alpha) as functions of u alone; the most sensitive alphas of the page's table."""
  top, lam = 3.0, -np.log(max(ratio, FLOOR))
  curve = [(u, gradients(p_pool, [top, top * ratio], u / lam)) for u in np.linspace(0.05, 4, 80)]
  for u, (y, _, dalpha) in curve:
    np.testing.assert_allclose(y, top * (1 - (1 - ratio) * logistic(-u)), rtol=1e-12)
    expected = top * (1 - ratio) * u * logistic(u) * logistic(-u)
    np.testing.assert_allclose(u / lam * dalpha, expected, rtol=1e-9)
  best = float(mpmath.findroot(lambda u: u * mpmath.tanh(u / 2) - 1, 1.5))
  u, _ = max(curve, key=lambda point: point[0] * point[1][2])
  assert abs(u - best) <= 0.05
  head, alphas_of_page = table_after("**Two elements, exactly.**")
  cells = dict(zip((cell.split()[0] for cell in head[1:]), alphas_of_page[1:], strict=True))
  assert cells[f"{ratio:g}"] == f"{best / lam:.3g}".ljust(len(cells[f"{ratio:g}"]), "0")
  assert f"u = {best:.3f}$, where it is ${best * logistic(best) * logistic(-best):.3f} m" in PAGE

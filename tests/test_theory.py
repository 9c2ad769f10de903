"""The statements of docs/THEORY.md, in float64 against the library's functions, and that the page names them.

A window is a vector `[n]`. Exact values and derivatives of Eq. 1 and of Lp pooling come from mpmath.
"""

import functools
import pathlib
import re

import chex
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from flax import linen
from hypothesis import given, strategies as st
from matplotlib.mathtext import MathTextParser

from ppool_jax import avg_pool, lp_pool, max_pool, polynomial_pool
from ppool_jax.layers.ranges import Clip

ROOT = pathlib.Path(__file__).parents[1]
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


# 1. The gradients of Eq. 1.


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


# 2. The floored function.


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


# 7. Lp pooling.


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


# The page itself.


def test_named_tests_exist():
  """Every test that the page names exists, and the page names every test here that checks a statement."""
  named = set(re.findall(r"`tests/(\w+\.py)::(\w+)`", PAGE))
  assert len(named) >= 20
  assert PAGE.count("tests/test_") == len(re.findall(r"`tests/\w+\.py::test_\w+`", PAGE))
  for file, test in named:
    assert f"\ndef {test}(" in (ROOT / "tests" / file).read_text(), f"{file} has no {test}"
  here = {name for name in globals() if name.startswith("test_")} - {
    "test_named_tests_exist",
    "test_formulas_and_links_are_sound",
  }
  assert here == {test for file, test in named if file == "test_theory.py"}


def test_formulas_and_links_are_sound():
  """Every formula parses, none holds an escape that GitHub's Markdown removes, and linked files exist."""
  text = re.sub(r"`[^`]*`", "", PAGE)
  formulas = [a or b for a, b in re.findall(r"\$\$(.+?)\$\$|\$([^$]+)\$", text, re.DOTALL)]
  assert len(formulas) > 100
  for formula in formulas:
    assert not re.search(r"\\[^a-zA-Z]", formula), formula
    MathTextParser("path").parse("$" + formula.replace("\n", " ") + "$")
  for target in re.findall(r"\]\((\w[^)#]*)\)", PAGE):
    assert (ROOT / "docs" / target).is_file(), target

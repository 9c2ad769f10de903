"""Gradients of Lp pooling by p and of P-pooling by alpha on the same window.

For docs/THEORY.md, section 7. Lp pooling, y = (sum_i x_i^p)^(1/p), is also drawn for p < 1, which `lp_pool`
refuses, so its gradients are computed here from their formulas. Those of P-pooling are the library's.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from ppool_jax.pooling import polynomial_pool

WINDOW = (1.0, 0.9, 0.5, 1e-3)
FLOOR = 2.0**-24  # the default of `polynomial_pool`
_EXPONENTS = np.geomspace(0.03, 40, 400)
_LAST_ELEMENTS = np.geomspace(1e-9, 1, 400)
_LP_EXPONENTS = (0.5, 0.9, 1.0, 1.1, 2.0)
_P_POOLING_EXPONENTS = (0.0, 0.1, 0.5, 1.0, 2.0)
_COLORS = ("#1c7ed6", "#2f9e44", "#9c36b5", "#e8590c", "#212529")
_LEGEND = (
  "Solid: positive.  Dashed: negative.  Both rows have the same axes, but for the names of the exponents."
)


def lp_gradients(x: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Gradients of Lp pooling: dy/dx_i = (x_i / y)^(p-1) and dy/dp = -y H / p^2.

  H is the entropy of the shares x_i^p / sum_j x_j^p.

  Args:
    x: windows `[N, n]`, positive, float64.
    p: exponents `[N]`, positive, float64.

  Returns:
    dy/dx `[N, n]` and dy/dp `[N]`, float64.
  """
  logs, p = np.log(x), p[:, None]
  log_y = np.logaddexp.reduce(p * logs, axis=1, keepdims=True) / p
  log_shares = p * (logs - log_y)
  entropy = -(np.exp(log_shares) * log_shares).sum(1)
  return np.exp((p - 1) * (logs - log_y)), -np.exp(log_y[:, 0]) * entropy / p[:, 0] ** 2


def p_pooling_gradients(x: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Gradients of `polynomial_pool`.

  Args:
    x: windows `[N, n]`.
    alpha: exponents `[N]`.

  Returns:
    dy/dx `[N, n]` and dy/dalpha `[N]`, float32.
  """
  y, pullback = jax.vjp(
    lambda x, alpha: polynomial_pool(x, alpha, (x.shape[1],)),
    jnp.asarray(x, jnp.float32)[..., None],
    jnp.asarray(alpha, jnp.float32)[:, None, None],
  )
  dx, dalpha = pullback(jnp.ones_like(y))
  return np.asarray(dx[..., 0]), np.asarray(dalpha[:, 0, 0])


POOLINGS = (
  ("Lp pooling", "p", lp_gradients, _LP_EXPONENTS),
  ("P-pooling", r"\alpha", p_pooling_gradients, _P_POOLING_EXPONENTS),
)


def draw() -> Figure:
  """Draws, in a row per pooling, dy/dx_i and |dy/dexponent| by exponent, and |dy/dx_4| by x_4."""
  figure = Figure(figsize=(16, 8), dpi=100)
  elements = ", ".join(f"{value:g}" for value in WINDOW)
  figure.suptitle(f"Gradients of Lp pooling and P-pooling on the window {{{elements}}}", fontsize=18)
  figure.text(0.5, 0.014, _LEGEND, ha="center", fontsize=13)
  panels = figure.subplots(2, 3, gridspec_kw={"wspace": 0.22, "hspace": 0.42})
  figure.subplots_adjust(0.05, 0.11, 0.985, 0.88)
  for row, (name, symbol, gradients, exponents) in zip(panels, POOLINGS, strict=True):
    _by_exponent(row[0], row[1], name, symbol, gradients)
    _by_last_element(row[2], name, symbol, gradients, exponents)
  return figure


def _by_exponent(by_x, by_exponent, name, symbol, gradients):
  """Draws dy/dx_i of each element, and |dy/dexponent|, by exponent."""
  x = np.broadcast_to(WINDOW, (_EXPONENTS.size, len(WINDOW)))
  dx, dexponent = gradients(x, _EXPONENTS)
  for i, (element, color) in enumerate(zip(WINDOW, _COLORS, strict=False)):
    _signed(by_x, _EXPONENTS, dx[:, i], color, f"$x_{i + 1}$ = {element:g}", absolute=False)
  by_x.set_yscale("symlog", linthresh=1.0)
  by_x.set(title=f"{name}: $\\partial y/\\partial x_i$", ylim=(-100, 1e6))
  _signed(by_exponent, _EXPONENTS, dexponent, _COLORS[-1], None)
  title = f"{name}: $|\\partial y/\\partial {symbol}|$"
  by_exponent.set(title=title, yscale="log", ylim=(1e-5, 1e7))
  for panel in (by_x, by_exponent):
    _axis(panel, f"${symbol}$")
    panel.axvline(1, color="0.6", linewidth=1, zorder=0)
  by_x.legend(fontsize=10, loc="upper right")


def _by_last_element(panel, name, symbol, gradients, exponents):
  """Draws |dy/dx_4| by x_4 for several exponents."""
  x = np.tile(WINDOW, (_LAST_ELEMENTS.size, 1))
  x[:, -1] = _LAST_ELEMENTS
  for exponent, color in zip(exponents, _COLORS, strict=True):
    dx, _ = gradients(x, np.full(_LAST_ELEMENTS.size, exponent))
    _signed(panel, _LAST_ELEMENTS, dx[:, -1], color, f"${symbol}$ = {exponent:g}")
  panel.set(title=f"{name}: $|\\partial y/\\partial x_4|$", yscale="log", ylim=(1e-6, 1e9))
  _axis(panel, "$x_4$")
  if symbol != "p":
    panel.axvline(FLOOR, color="0.6", linewidth=1, zorder=0)
    panel.text(FLOOR * 1.3, 2e-6, "floor", color="0.4", fontsize=11)
  panel.legend(fontsize=10, loc="upper right", ncols=3)


def _signed(panel, x, y, color, label, absolute=True):
  """Draws y, or |y|, as a line that is solid where y is positive and dashed where it is negative."""
  shown = np.abs(y) if absolute else y
  panel.plot(x, np.where(y >= 0, shown, np.nan), color=color, linewidth=2)
  panel.plot(x, np.where(y < 0, shown, np.nan), color=color, linewidth=2, linestyle="--")
  if label:
    panel.plot([], [], color=color, linewidth=2, label=label)


def _axis(panel, label):
  """Makes the horizontal axis logarithmic and labels it."""
  panel.set(xscale="log", xlabel=label)
  panel.grid(color="0.9")
  panel.set_axisbelow(True)

"""The poolings that the figures compare, as functions `(x, window) -> y`, windows one step apart."""

from __future__ import annotations

from collections.abc import Callable

from ppool_jax import pooling

# `[..., *spatial, channels]` and the window's shape to `[..., *out, channels]`.
Pool = Callable

AVERAGE: tuple[str, Pool] = ("average", pooling.avg_pool)
MAX: tuple[str, Pool] = ("max", pooling.max_pool)
SOFT: tuple[str, Pool] = ("SoftPool", pooling.soft_pool)
LP: tuple[str, Pool] = ("Lp, p = 3", lambda x, window: pooling.lp_pool(x, 3.0, window))
MIXED: tuple[str, Pool] = (
  "mixed, half max, half average",
  lambda x, window: pooling.mixed_pool(x, 0.5, window),
)
# alpha = lam = 0 is what DPP's random start scatters around.
DPP: tuple[str, Pool] = (
  "DPP, sym lite",
  lambda x, window: pooling.detail_preserving_pool(x, 0.0, 0.0, window),
)


def gated(mask) -> tuple[str, Pool]:
  """Gated max-average pooling with a mask of the window's shape."""
  return "gated", lambda x, window: pooling.gated_pool(x, mask, window)


def polynomial(alpha: float) -> tuple[str, Pool]:
  """P-pooling at one alpha for the whole input."""
  return f"P-pooling, $\\alpha$ = {alpha:g}", lambda x, window: pooling.polynomial_pool(x, alpha, window)

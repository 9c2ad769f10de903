"""The poolings that the figures compare, each with its title, as functions `(x, window) -> y` of stride 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import jax
import numpy as np

from ppool_jax import pooling

Pool: TypeAlias = Callable[[jax.Array, tuple[int, ...]], jax.Array]
"""From `[..., *spatial, channels]` and the window's shape to `[..., *out, channels]`."""

AVERAGE: tuple[str, Pool] = ("average", lambda x, window: pooling.avg_pool(x, window))
MAX: tuple[str, Pool] = ("max", lambda x, window: pooling.max_pool(x, window))
SOFT: tuple[str, Pool] = ("SoftPool", lambda x, window: pooling.soft_pool(x, window))
LP: tuple[str, Pool] = ("Lp, p = 3", lambda x, window: pooling.lp_pool(x, 3.0, window))
MIXED: tuple[str, Pool] = (
  "mixed, half max, half average",
  lambda x, window: pooling.mixed_pool(x, 0.5, window),
)
# DPP's random initialization is centered on alpha = lam = 0.
DPP: tuple[str, Pool] = (
  "DPP, sym lite",
  lambda x, window: pooling.detail_preserving_pool(x, 0.0, 0.0, window),
)


def gated(mask: np.ndarray) -> tuple[str, Pool]:
  """Gated max-average pooling with a mask of the window's shape."""
  return "gated", lambda x, window: pooling.gated_pool(x, mask, window)


def polynomial(alpha: float) -> tuple[str, Pool]:
  """P-pooling with one alpha for the whole input."""
  return f"P-pooling, $\\alpha$ = {alpha:g}", lambda x, window: pooling.polynomial_pool(x, alpha, window)

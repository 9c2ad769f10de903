"""Range maps: from any real number to an exponent alpha. Parameters of alpha sources.

A map is a callable `raw -> alpha`; `inverse` finds where to start for a wanted alpha, `ends` are the
least and the largest alpha it can give. `RANGES` has their names in configs.
"""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Clip:
  """alpha = raw, clipped to [least, cap]: the paper's (0, C]. Passes no gradient outside."""

  cap: float = 35.0
  least: float = 0.0

  def __post_init__(self):
    if not 0 <= self.least <= self.cap:
      raise ValueError(f"least, cap: expected 0 <= least <= cap, got {self.least!r} and {self.cap!r}")

  @property
  def ends(self) -> tuple[float, float]:
    return self.least, self.cap

  def __call__(self, raw: jax.Array) -> jax.Array:
    return jnp.clip(raw, self.least, self.cap)

  def inverse(self, alpha: float) -> float:
    return _inside(alpha, self.least, self.cap, self)


@dataclasses.dataclass(frozen=True)
class Softplus:
  """alpha = log(1 + exp(raw)), in (0, inf)."""

  @property
  def ends(self) -> tuple[float, float]:
    return 0.0, math.inf

  def __call__(self, raw: jax.Array) -> jax.Array:
    return jax.nn.softplus(raw)

  def inverse(self, alpha: float) -> float:
    alpha = _inside(alpha, 1e-6, math.inf, self)
    return alpha + math.log(-math.expm1(-alpha))


@dataclasses.dataclass(frozen=True)
class ScaledSigmoid:
  """alpha = cap * sigmoid(raw), in (0, cap)."""

  cap: float = 35.0

  @property
  def ends(self) -> tuple[float, float]:
    return 0.0, self.cap

  def __call__(self, raw: jax.Array) -> jax.Array:
    return self.cap * jax.nn.sigmoid(raw)

  def inverse(self, alpha: float) -> float:
    alpha = _inside(alpha, 1e-6 * self.cap, (1 - 1e-6) * self.cap, self)
    return math.log(alpha / (self.cap - alpha))


@dataclasses.dataclass(frozen=True)
class Exponential:
  """alpha = exp(raw), at most cap: the source predicts log alpha, so that steps are relative."""

  cap: float = 110.0

  @property
  def ends(self) -> tuple[float, float]:
    return 0.0, self.cap

  def __call__(self, raw: jax.Array) -> jax.Array:
    return jnp.exp(jnp.minimum(raw, math.log(self.cap)))

  def inverse(self, alpha: float) -> float:
    return math.log(_inside(alpha, 1e-6, self.cap, self))


RANGES = {"clip": Clip, "softplus": Softplus, "scaled_sigmoid": ScaledSigmoid, "exponential": Exponential}


def _inside(alpha: float, low: float, high: float, range_map) -> float:
  if not low <= alpha <= high:
    raise ValueError(f"initial: expected alpha in [{low:g}, {high:g}] for {range_map}, got {alpha!r}")
  return float(alpha)

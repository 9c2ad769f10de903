"""Range maps: functions from any real number to an exponent alpha, as the last step of alpha sources.

A map is a callable `raw -> alpha`. `inverse(alpha)` is the raw number that it maps to alpha, for
initializers; `ends` is the pair (smallest, largest) alpha that it can return. `RANGES` has the names of the
maps in configs.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Protocol

import jax
import jax.numpy as jnp


class RangeMap(Protocol):
  """What alpha sources need of a range map."""

  @property
  def ends(self) -> tuple[float, float]: ...

  def __call__(self, raw: jax.Array) -> jax.Array: ...

  def inverse(self, alpha: float) -> float: ...


@dataclasses.dataclass(frozen=True)
class Clip:
  """alpha = raw, clipped to [least, cap]; the paper's (0, C]. The gradient is zero where it clips."""

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
  """alpha = exp(raw), at most cap. The source predicts log alpha, so that its steps are relative."""

  cap: float = 110.0

  @property
  def ends(self) -> tuple[float, float]:
    return 0.0, self.cap

  def __call__(self, raw: jax.Array) -> jax.Array:
    return jnp.exp(jnp.minimum(raw, math.log(self.cap)))

  def inverse(self, alpha: float) -> float:
    return math.log(_inside(alpha, 1e-6, self.cap, self))


RANGES: dict[str, type] = {
  "clip": Clip,
  "softplus": Softplus,
  "scaled_sigmoid": ScaledSigmoid,
  "exponential": Exponential,
}


def _inside(alpha: float, low: float, high: float, range_map: RangeMap) -> float:
  if not low <= alpha <= high:
    raise ValueError(f"initial: expected alpha in [{low:g}, {high:g}] for {range_map}, got {alpha!r}")
  return float(alpha)

"""Defines the scale of alpha that all units share, from average pooling at 0 to max pooling at the cap."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.ticker import MaxNLocator

from train.analysis.units import Unit

_WIDTH = 0.1  # a logarithmic scale is linear below this alpha, so that it starts at 0
_LARGEST_LINEAR = 50.0  # largest end of a linear scale of an unbounded range


class AlphaScale(NamedTuple):
  """A scale of alpha that starts at 0.

  Attributes:
    high: end of the scale.
    logarithmic: whether the scale is asinh(alpha / 0.1), which is linear below 0.1 and logarithmic above.
    bounded: whether alpha cannot exceed `high`.
  """

  high: float
  logarithmic: bool
  bounded: bool = True

  @property
  def label(self) -> str:
    return f"alpha (0 = average pooling, {f'{self.high:g}' if self.bounded else '∞'} = max pooling)"

  def norm(self) -> Normalize:
    """The normalization of a color map."""
    if self.logarithmic:
      return AsinhNorm(linear_width=_WIDTH, vmin=0, vmax=self.high)
    return Normalize(0, self.high)

  def set_axis(self, axis, which: str = "y") -> None:
    """Sets the scale, ticks and limits of matplotlib's axis `which` ("x" or "y")."""
    if self.logarithmic:
      getattr(axis, f"set_{which}scale")("asinh", linear_width=_WIDTH)
      ticks = [0, *(10.0**k for k in range(-1, math.ceil(math.log10(self.high))))]
    else:
      ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(0, self.high)
    # A tick close to the end would overlap the label of the end.
    ticks = [*(t for t in ticks if self.to_axis(t) < 0.9 * self.to_axis(self.high)), self.high]
    getattr(axis, f"set_{which}ticks")(ticks, [f"{tick:.3g}" for tick in ticks])
    getattr(axis, f"{which}axis").minorticks_off()
    margin = 0.02 * self._to_linear(self.high)
    getattr(axis, f"set_{which}lim")(
      self._from_linear(-margin), self._from_linear(self._to_linear(self.high) + margin)
    )

  def to_axis(self, alpha: npt.ArrayLike) -> np.ndarray:
    """Maps alphas to positions on the scale; the largest position is that of `high`."""
    end = self._to_linear(self.high)
    return np.minimum(np.arcsinh(np.asarray(alpha) / _WIDTH) if self.logarithmic else np.asarray(alpha), end)

  def bin_edges(self, bins: int) -> np.ndarray:
    """The edges of bins of equal width on the scale, float64 `[bins + 1]`."""
    return self._from_linear(np.linspace(0, self._to_linear(self.high), bins + 1))

  def _to_linear(self, alpha):
    return np.arcsinh(alpha / _WIDTH) if self.logarithmic else alpha

  def _from_linear(self, position):
    return _WIDTH * np.sinh(position) if self.logarithmic else position


def make_scale(units: Iterable[Unit], largest: float) -> AlphaScale:
  """The shared scale of all units, which ends at the largest cap, or at `largest` if a range has no cap.

  Args:
    units: the units.
    largest: the largest alpha in the figure.
  """
  units = list(units)
  bounded = all(math.isfinite(unit.high) for unit in units)
  if bounded:
    high = max(unit.high for unit in units)
  else:
    high = max([unit.high for unit in units if math.isfinite(unit.high)] + [largest, 1.0])
    high = high if math.isfinite(high) else 1.0
  logarithmic = any(unit.logarithmic for unit in units) or (not bounded and high > _LARGEST_LINEAR)
  return AlphaScale(high, logarithmic, bounded)

"""One scale of alpha for all units: from average pooling at 0 to max pooling at the cap."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.ticker import MaxNLocator

from train.analysis.units import Unit

_WIDTH = 0.1  # alpha below which a logarithmic scale is linear, so that it begins at 0
_LARGEST_LINEAR = 50.0  # of an unbounded range


class AlphaScale(NamedTuple):
  """A scale that starts at 0.

  Attributes:
    high: its end.
    logarithmic: asinh(alpha / 0.1): linear below 0.1, logarithmic above.
    bounded: whether alpha cannot be above `high`.
  """

  high: float
  logarithmic: bool
  bounded: bool = True

  @property
  def label(self) -> str:
    return f"alpha (0 = average pooling, {f'{self.high:g}' if self.bounded else '∞'} = max pooling)"

  def norm(self) -> Normalize:
    """Of colors."""
    if self.logarithmic:
      return AsinhNorm(linear_width=_WIDTH, vmin=0, vmax=self.high)
    return Normalize(0, self.high)

  def set_axis(self, axis, which: str = "y") -> None:
    """Makes an axis ("x" or "y") of matplotlib this scale."""
    if self.logarithmic:
      getattr(axis, f"set_{which}scale")("asinh", linear_width=_WIDTH)
      ticks = [0, *(10.0**k for k in range(-1, math.ceil(math.log10(self.high))))]
    else:
      ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(0, self.high)
    # A tick close to the end's would print over it.
    ticks = [*(t for t in ticks if self.places(t) < 0.9 * self.places(self.high)), self.high]
    getattr(axis, f"set_{which}ticks")(ticks, [f"{tick:.3g}" for tick in ticks])
    getattr(axis, f"{which}axis").minorticks_off()
    margin = 0.02 * self._place(self.high)
    getattr(axis, f"set_{which}lim")(self._value(-margin), self._value(self._place(self.high) + margin))

  def places(self, alpha: np.ndarray) -> np.ndarray:
    """Where alphas lie on the scale, in the order of alpha; at most where `high` lies."""
    end = self._place(self.high)
    return np.minimum(np.arcsinh(np.asarray(alpha) / _WIDTH) if self.logarithmic else alpha, end)

  def edges(self, bins: int) -> np.ndarray:
    """The edges of bins that are equally wide on the scale, float64 `[bins + 1]`."""
    return self._value(np.linspace(0, self._place(self.high), bins + 1))

  def _place(self, alpha):
    return np.arcsinh(alpha / _WIDTH) if self.logarithmic else alpha

  def _value(self, place):
    return _WIDTH * np.sinh(place) if self.logarithmic else place


def make_scale(units: Iterable[Unit], largest: float) -> AlphaScale:
  """The scale of all units: to the largest cap; where a range has none, to the largest alpha seen.

  Args:
    largest: the largest alpha that is shown.
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

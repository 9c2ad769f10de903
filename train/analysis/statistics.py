"""Accumulates statistics of a unit's alpha image by image, in constant memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from train.analysis.observe import Observation
from train.analysis.scale import AlphaScale, make_scale
from train.analysis.units import Unit

_BINS = 70
_UNBOUNDED = 1e5  # the last bin of an unbounded range includes larger values
_UNBOUNDED_BINS = 280


class UnitStatistics:
  """Statistics of the alpha of one unit.

  Args:
    unit: the unit, from `find_units`.
    initial: alpha at step 0, `[C]`.

  Attributes:
    edges: edges of the histogram's bins, float64 `[bins + 1]`.
    counts: counts of the histogram over windows and channels, int64 `[bins]`.
    largest: the largest alpha so far.
  """

  def __init__(self, unit: Unit, initial: np.ndarray):
    self.unit, self.initial = unit, np.asarray(initial, float)
    self._scale, bins = _histogram_scale(unit)
    self.edges, self.counts = self._scale.bin_edges(bins), np.zeros(bins, np.int64)
    self.largest = 0.0
    channels = (unit.channels,)
    self._images = self._windows = self._edge_windows = self._inner_windows = 0
    self._deviation_sum, self._squared, self._distance = (np.zeros(channels) for _ in range(3))
    self._low, self._high, self._zeros = (np.zeros(channels) for _ in range(3))
    self._at_edges, self._inner = np.zeros(channels), np.zeros(channels)
    self._differences: list[float] = []

  def add(self, observed: Observation, at_edges=None, inner=None) -> None:
    """Adds one image.

    Args:
      observed: alpha `[h, w, C]` and the zeros of the input.
      at_edges, inner: windows from `split_windows_at_edges`, bool `[h, w]`; None: the image has no label.
    """
    alpha = observed.alpha.astype(np.float64)
    self._images += 1
    self._windows += alpha.shape[0] * alpha.shape[1]
    # Sums are relative to the initial value, to avoid cancellation in the variance.
    deviation = alpha - self.initial
    self._deviation_sum += deviation.sum((0, 1))
    self._squared += np.square(deviation).sum((0, 1))
    self._distance += np.abs(deviation).sum((0, 1))
    self._low += (observed.alpha <= np.float32(self.unit.low)).sum((0, 1))
    self._high += (observed.alpha >= np.float32(self.unit.high)).sum((0, 1))
    self._zeros += observed.zeros
    self.largest = max(self.largest, float(alpha.max()))
    ends = self._scale.to_axis(self.edges[[0, -1]])
    self.counts += np.histogram(self._scale.to_axis(alpha), len(self.counts), range=tuple(ends))[0]
    if at_edges is not None:
      self._add_edges(alpha, at_edges, inner)

  def _add_edges(self, alpha, at_edges, inner) -> None:
    edge, inside = (alpha[mask].sum(0) for mask in (at_edges, inner))
    self._at_edges += edge
    self._inner += inside
    self._edge_windows += (windows := int(at_edges.sum()))
    self._inner_windows += (others := int(inner.sum()))
    if windows and others:
      self._differences.append(float(edge.mean() / windows - inside.mean() / others))

  def per_channel(self) -> dict[str, np.ndarray]:
    """Statistics by channel, float64 `[C]` by name; "deviation" is the mean of |alpha - initial|."""
    deviation = self._deviation_sum / self._windows
    variance = np.maximum(self._squared / self._windows - deviation**2, 0)
    return {
      "initial": self.initial,
      "mean": self.initial + deviation,
      "std": np.sqrt(variance),
      "at_low": self._low / self._windows,
      "at_high": self._high / self._windows,
      "boundary_mean": _ratio(self._at_edges, self._edge_windows),
      "inside_mean": _ratio(self._inner, self._inner_windows),
      "deviation": self._distance / self._windows,
      "sparsity": self._zeros / self._images,
    }

  def results(self) -> dict:
    """All statistics of the unit, for JSON."""
    channels = self.per_channel()
    mean = channels["mean"].mean()
    variance = np.mean(channels["std"] ** 2 + (channels["mean"] - mean) ** 2)
    return {
      "stride": self.unit.grid.stride,
      "range": [self.unit.low, self.unit.high],
      "windows": self._windows,
      "initial": self.initial.mean(),
      "mean": mean,
      "std": math.sqrt(variance),
      "at_low": channels["at_low"].mean(),
      "at_high": channels["at_high"].mean(),
      "boundary": {
        "mean": _ratio(self._at_edges.mean(), self._edge_windows), "windows": self._edge_windows,
      },
      "inside": {"mean": _ratio(self._inner.mean(), self._inner_windows), "windows": self._inner_windows},
      "boundary_minus_inside": {**mean_and_error(self._differences), "images": len(self._differences)},
      "deviation_against_sparsity": correlation(channels["sparsity"], channels["deviation"]),
      "histogram": {"edges": self.edges, "counts": self.counts},
      "channels": channels,
    }  # fmt: skip


def correlation(x: np.ndarray, y: np.ndarray) -> dict[str, float | None]:
  """Pearson's and Spearman's correlation; None if x or y is constant."""
  if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0 or not np.isfinite([x, y]).all():
    return {"pearson": None, "spearman": None}
  pearson, spearman = (float(np.asarray(test(x, y))[0]) for test in (stats.pearsonr, stats.spearmanr))
  return {"pearson": pearson, "spearman": spearman}


def _histogram_scale(unit: Unit) -> tuple[AlphaScale, int]:
  if math.isfinite(unit.high):
    return make_scale([unit], 0), _BINS
  return AlphaScale(_UNBOUNDED, logarithmic=True, bounded=False), _UNBOUNDED_BINS


def _ratio(total, count: int):
  return total / count if count else total * math.nan


def mean_and_error(values: Sequence[float]) -> dict[str, float | None]:
  """The mean of the values and its standard error; None where there are too few values."""
  error = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None
  return {"mean": float(np.mean(values)) if values else None, "standard_error": error}

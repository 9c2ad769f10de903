"""Sums over a data set of what a unit's alpha is, image by image: memory does not grow with the set."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from train.analysis.observe import Observation
from train.analysis.scale import AlphaScale, make_scale
from train.analysis.units import Unit

_BINS = 70
_UNBOUNDED = 1e5  # the last bin of an unbounded range holds what is larger
_UNBOUNDED_BINS = 280


class UnitStatistics:
  """What is counted of a unit.

  Args:
    unit: see `find_units`.
    initial: alpha at step 0, `[C]`.

  Attributes:
    edges: of the histogram's bins, float64 `[bins + 1]`.
    counts: int64 `[bins]`, windows and channels together.
    largest: the largest alpha so far.
  """

  def __init__(self, unit: Unit, initial: np.ndarray):
    self.unit, self.initial = unit, np.asarray(initial, float)
    self._scale, bins = _histogram_scale(unit)
    self.edges, self.counts = self._scale.edges(bins), np.zeros(bins, np.int64)
    self.largest = 0.0
    channels = (unit.channels,)
    self._images = self._windows = self._edge_windows = self._inner_windows = 0
    self._moved, self._squared, self._distance = (np.zeros(channels) for _ in range(3))
    self._low, self._high, self._zeros = (np.zeros(channels) for _ in range(3))
    self._at_edges, self._inner = np.zeros(channels), np.zeros(channels)
    self._differences: list[float] = []

  def add(self, observed: Observation, at_edges=None, inner=None) -> None:
    """Counts one image.

    Args:
      observed: alpha `[h, w, C]` and the input's zeros.
      at_edges, inner: bool `[h, w]`, of `windows_at_edges`; None: the image has no label.
    """
    alpha = observed.alpha.astype(np.float64)
    self._images += 1
    self._windows += alpha.shape[0] * alpha.shape[1]
    # About the initial value, so that the variance does not cancel.
    moved = alpha - self.initial
    self._moved += moved.sum((0, 1))
    self._squared += np.square(moved).sum((0, 1))
    self._distance += np.abs(moved).sum((0, 1))
    self._low += (observed.alpha <= np.float32(self.unit.low)).sum((0, 1))
    self._high += (observed.alpha >= np.float32(self.unit.high)).sum((0, 1))
    self._zeros += observed.zeros
    self.largest = max(self.largest, float(alpha.max()))
    ends = self._scale.places(self.edges[[0, -1]])
    self.counts += np.histogram(self._scale.places(alpha), len(self.counts), range=tuple(ends))[0]
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
    """float64 `[C]` by name; deviation is |alpha - initial|, in the mean over the windows."""
    moved = self._moved / self._windows
    variance = np.maximum(self._squared / self._windows - moved**2, 0)
    return {
      "initial": self.initial,
      "mean": self.initial + moved,
      "std": np.sqrt(variance),
      "at_low": self._low / self._windows,
      "at_high": self._high / self._windows,
      "boundary_mean": _ratio(self._at_edges, self._edge_windows),
      "inside_mean": _ratio(self._inner, self._inner_windows),
      "deviation": self._distance / self._windows,
      "sparsity": self._zeros / self._images,
    }

  def results(self) -> dict:
    """All numbers of the unit, for JSON."""
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
      "boundary_minus_inside": _mean_and_error(self._differences),
      "deviation_against_sparsity": correlation(channels["sparsity"], channels["deviation"]),
      "histogram": {"edges": self.edges, "counts": self.counts},
      "channels": channels,
    }  # fmt: skip


def correlation(x: np.ndarray, y: np.ndarray) -> dict[str, float | None]:
  """Pearson's r and Spearman's rank correlation; None where one of the two does not vary."""
  if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0 or not np.isfinite([x, y]).all():
    return {"pearson": None, "spearman": None}
  return {"pearson": stats.pearsonr(x, y).statistic, "spearman": stats.spearmanr(x, y).statistic}


def _histogram_scale(unit: Unit) -> tuple[AlphaScale, int]:
  if math.isfinite(unit.high):
    return make_scale([unit], 0), _BINS
  return AlphaScale(_UNBOUNDED, logarithmic=True, bounded=False), _UNBOUNDED_BINS


def _ratio(total, count: int):
  return total / count if count else total * math.nan


def _mean_and_error(values: list[float]) -> dict:
  """The mean over the images and its standard error."""
  error = np.std(values, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else None
  return {
    "mean": np.mean(values) if values else None, "standard_error": error, "images": len(values),
  }  # fmt: skip

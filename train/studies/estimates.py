"""Estimates a mean with its confidence interval, and the paired difference of two variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95

_CONSTANT = 1e-9  # points: a smaller standard deviation is due to rounding


class Estimate(NamedTuple):
  """A mean and its confidence interval; None where there are too few values.

  Attributes:
    count: number of values.
    mean, low, high: in per cent, or in points for a difference.
  """

  count: int
  mean: float | None = None
  low: float | None = None
  high: float | None = None


class Difference(NamedTuple):
  """The paired difference of a variant to its baseline over their common seeds.

  Attributes:
    estimate: mean of variant minus baseline, in points.
    above: number of seeds for which the variant is above the baseline.
    baseline: mean of the baseline over the same seeds, in per cent; None without pairs.
    p: p-value of the two-sided paired t-test; None with fewer than two pairs or with constant differences.
    p_holm: p after Holm's correction over the variants, for per-class metrics also over the classes.
  """

  estimate: Estimate
  above: int
  baseline: float | None
  p: float | None
  p_holm: float | None = None

  @property
  def gain(self) -> float:
    """The mean difference in points; 0 without pairs."""
    return self.estimate.mean or 0.0


def estimate_mean(values: Sequence[float] | np.ndarray) -> Estimate:
  """The mean with its 95 % interval of Student's t distribution; a single value has no interval."""
  if not len(values):
    return Estimate(0)
  mean = float(np.mean(values))
  if len(values) == 1:
    return Estimate(1, mean)
  if np.std(values) < _CONSTANT:  # scipy returns NaN for a scale of 0
    return Estimate(len(values), mean, mean, mean)
  low, high = stats.t.interval(CONFIDENCE, len(values) - 1, loc=mean, scale=stats.sem(values))
  return Estimate(len(values), mean, float(low), float(high))


def paired_difference(baseline: Mapping[int, float], other: Mapping[int, float]) -> Difference:
  """The paired difference `other` minus `baseline` over the common seeds.

  Args:
    baseline, other: values in per cent by seed.
  """
  seeds = sorted(baseline.keys() & other.keys())
  before, after = (np.array([values[seed] for seed in seeds], float) for values in (baseline, other))
  gains = after - before
  # Constant differences have no t statistic: it would be infinite or 0/0.
  varies = len(seeds) > 1 and np.std(gains) >= _CONSTANT
  p = float(stats.ttest_rel(after, before).pvalue) if varies else None
  mean = float(before.mean()) if seeds else None
  return Difference(estimate_mean(gains), int((gains > _CONSTANT).sum()), mean, p)


def holm_correction(p_values: Sequence[float | None]) -> list[float | None]:
  """Applies Holm's step-down correction to the p-values of one family of tests; None stays None.

  Source: Holm, A simple sequentially rejective multiple test procedure, 1979.
  """
  order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
  corrected: list[float | None] = [None] * len(p_values)
  largest = 0.0
  for rank, (p, index) in enumerate(order):
    largest = max(largest, min(1.0, (len(order) - rank) * p))
    corrected[index] = largest
  return corrected

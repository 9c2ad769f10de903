"""Means over seeds with confidence intervals, and paired differences to a baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from train.studies.result import Result, VariantInfo

CONFIDENCE = 0.95
METRICS = ("miou", "thin_iou", "boundary_iou", "trimap_miou", "pixel_accuracy")
CLASS_METRICS = ("per_class_iou", "per_class_boundary_iou")

_CONSTANT = 1e-9  # points: a standard deviation below this is rounding


class Estimate(NamedTuple):
  """A mean and its confidence interval; None where there are too few values.

  Attributes:
    count: values.
    mean, low, high: per cent, or points of a difference.
  """

  count: int
  mean: float | None = None
  low: float | None = None
  high: float | None = None


class Difference(NamedTuple):
  """The paired difference of a variant to its baseline, over the seeds that both have.

  Attributes:
    estimate: of variant minus baseline, points.
    above: seeds with which the variant is above the baseline.
    baseline: mean of the baseline over the same seeds, per cent; None without pairs.
    p: of the two-sided paired t-test; None with fewer than two pairs, or differences that do not vary.
    p_holm: p after Holm's correction over the variants, for metrics of classes also over the classes.
  """

  estimate: Estimate
  above: int
  baseline: float | None
  p: float | None
  p_holm: float | None = None


class Row(NamedTuple):
  """One metric of one variant.

  Attributes:
    metric: as in an evaluation, "trimap_miou.4" for one width.
    label: the class; empty for metrics of the whole.
    difference: None for a variant without a baseline.
  """

  variant: str
  metric: str
  label: str
  estimate: Estimate
  baseline: str | None
  difference: Difference | None


def estimate(values: Sequence[float]) -> Estimate:
  """The mean with its 95 % interval of Student's t distribution; of one value without an interval."""
  if not len(values):
    return Estimate(0)
  mean = float(np.mean(values))
  if len(values) == 1:
    return Estimate(1, mean)
  if np.std(values) < _CONSTANT:  # scipy gives NaN for a scale of 0
    return Estimate(len(values), mean, mean, mean)
  low, high = stats.t.interval(CONFIDENCE, len(values) - 1, loc=mean, scale=stats.sem(values))
  return Estimate(len(values), mean, float(low), float(high))


def paired_difference(baseline: Mapping[int, float], other: Mapping[int, float]) -> Difference:
  """`other` minus `baseline`, by seed.

  Args:
    baseline, other: values by seed, per cent.
  """
  seeds = sorted(baseline.keys() & other.keys())
  before, after = (np.array([values[seed] for seed in seeds], float) for values in (baseline, other))
  gains = after - before
  # Differences that do not vary are no sample: the t statistic would be infinite or 0/0.
  varies = len(seeds) > 1 and np.std(gains) >= _CONSTANT
  p = float(stats.ttest_rel(after, before).pvalue) if varies else None
  mean = float(before.mean()) if seeds else None
  return Difference(estimate(gains), int((gains > _CONSTANT).sum()), mean, p)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
  """p-values after Holm's step-down correction for as many tests as there are p-values; None stays None.

  Source: Holm, A simple sequentially rejective multiple test procedure, 1979.
  """
  order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
  corrected, largest = [None] * len(p_values), 0.0
  for rank, (p, place) in enumerate(order):
    largest = max(largest, min(1.0, (len(order) - rank) * p))
    corrected[place] = largest
  return corrected


def percentages(scores: Mapping) -> dict[tuple[str, str], float | None]:
  """(metric, class) to per cent, of what the report shows of an evaluation; None where it has no number."""
  found = {}
  for metric in (*METRICS, *CLASS_METRICS):
    value = scores.get(metric)
    if metric in CLASS_METRICS:
      found |= {(metric, name): number for name, number in (value or {}).items()}
    elif isinstance(value, Mapping):
      found |= {(f"{metric}.{width}", ""): number for width, number in value.items()}
    elif metric in scores:
      found[metric, ""] = value
  return {key: _per_cent(value) for key, value in found.items()}


def _per_cent(share: float | None) -> float | None:
  return None if share is None or not math.isfinite(share) else 100 * share


def summarize(variants: Sequence[VariantInfo], results: Sequence[Result]) -> list[Row]:
  """A row for each variant and each metric of any finished run: by metric, class and variant, in order."""
  values = {variant.name: {} for variant in variants}  # variant -> (metric, class) -> seed -> per cent
  keys = {}  # a set in order
  for result in (result for result in results if result.finished):
    for key, value in percentages(result.scores).items():
      keys[key] = None
      if value is not None:
        values[result.variant].setdefault(key, {})[result.seed] = value
  return _corrected([_row(variant, *key, values) for key in keys for variant in variants])


def _row(variant: VariantInfo, metric: str, label: str, values: Mapping) -> Row:
  own = values[variant.name].get((metric, label), {})
  difference = None
  if variant.baseline is not None:
    difference = paired_difference(values[variant.baseline].get((metric, label), {}), own)
  return Row(variant.name, metric, label, estimate(list(own.values())), variant.baseline, difference)


def _corrected(rows: list[Row]) -> list[Row]:
  """The rows with p_holm; the tests of one metric belong together."""
  families = {}
  for place, row in enumerate(rows):
    if row.difference:
      families.setdefault(row.metric, []).append(place)
  for places in families.values():
    corrected = holm([rows[place].difference.p for place in places])
    for place, p in zip(places, corrected, strict=True):
      rows[place] = rows[place]._replace(difference=rows[place].difference._replace(p_holm=p))
  return rows

"""Summarizes the results of a study: a row for each metric of each variant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from train.studies.estimates import Difference, Estimate, estimate_mean, holm_correction, paired_difference
from train.studies.result import Result, VariantInfo

METRICS = ("miou", "thin_iou", "boundary_iou", "trimap_miou", "pixel_accuracy")
CLASS_METRICS = ("per_class_iou", "per_class_boundary_iou")


class Row(NamedTuple):
  """One metric of one variant.

  Attributes:
    variant: name of the variant.
    metric: name as in an evaluation's results; "trimap_miou.4" for one trimap width.
    label: the class; empty for metrics over all classes.
    estimate: mean over the seeds.
    baseline: name of the baseline; None for a variant without one.
    difference: difference to the baseline; None for a variant without one.
  """

  variant: str
  metric: str
  label: str
  estimate: Estimate
  baseline: str | None
  difference: Difference | None

  @property
  def compared(self) -> Difference:
    """The difference of a variant that has a baseline."""
    assert self.difference is not None, f"{self.variant} has no baseline"
    return self.difference


def to_percentages(scores: Mapping) -> dict[tuple[str, str], float | None]:
  """The reported metrics of an evaluation in per cent by (metric, class); None for missing values and NaN."""
  values = {}
  for metric in (*METRICS, *CLASS_METRICS):
    value = scores.get(metric)
    if metric in CLASS_METRICS:
      values |= {(metric, name): number for name, number in (value or {}).items()}
    elif isinstance(value, Mapping):
      values |= {(f"{metric}.{width}", ""): number for width, number in value.items()}
    elif metric in scores:
      values[metric, ""] = value
  return {key: _to_percent(value) for key, value in values.items()}


def _to_percent(share: float | None) -> float | None:
  return None if share is None or not math.isfinite(share) else 100 * share


def summarize(variants: Sequence[VariantInfo], results: Sequence[Result]) -> list[Row]:
  """Creates a row for each metric of each variant, ordered by metric, class and variant."""
  values = {variant.name: {} for variant in variants}  # variant -> (metric, class) -> seed -> per cent
  keys = {}  # a set in order
  for result in (result for result in results if result.finished):
    for key, value in to_percentages(result.scores).items():
      keys[key] = None
      if value is not None:
        values[result.variant].setdefault(key, {})[result.seed] = value
  return _correct_p_values(
    [_make_row(variant, metric, label, values) for metric, label in keys for variant in variants]
  )


def _make_row(variant: VariantInfo, metric: str, label: str, values: Mapping) -> Row:
  own = values[variant.name].get((metric, label), {})
  difference = None
  if variant.baseline is not None:
    difference = paired_difference(values[variant.baseline].get((metric, label), {}), own)
  return Row(variant.name, metric, label, estimate_mean(list(own.values())), variant.baseline, difference)


def _correct_p_values(rows: list[Row]) -> list[Row]:
  """Sets `p_holm` of the rows; the tests of one metric are one family."""
  families = {}
  for index, row in enumerate(rows):
    if row.difference:
      families.setdefault(row.metric, []).append(index)
  for indices in families.values():
    corrected = holm_correction([rows[index].difference.p for index in indices])
    for index, p in zip(indices, corrected, strict=True):
      rows[index] = rows[index]._replace(difference=rows[index].difference._replace(p_holm=p))
  return rows

"""Means, intervals, paired differences and Holm's correction against hand-computed values and scipy."""

import math

import chex
import numpy as np
import pytest
from scipy import stats

from tests.helpers.study_reports import ALLCONV, MAX, PPOOL, diverged, finished, random_results
from train.studies.estimates import Estimate, estimate_mean, holm_correction, paired_difference
from train.studies.summary_rows import summarize, to_percentages


def test_estimate_by_hand():
  """s = sqrt(5/3), and the table's t for 3 degrees of freedom is 3.182."""
  found = estimate_mean([1.0, 2.0, 3.0, 4.0])
  half = 3.182446 * math.sqrt(5 / 3) / 2
  assert found.count == 4
  chex.assert_trees_all_close(found[1:], (2.5, 2.5 - half, 2.5 + half), rtol=1e-6)


def test_estimates_of_few_or_constant_values():
  assert estimate_mean([]) == Estimate(0, None, None, None)
  assert estimate_mean([0.7]) == Estimate(1, 0.7, None, None)
  found = estimate_mean([0.1 + 0.2, 0.3, 0.3])  # differ by rounding
  assert found.count == 3
  chex.assert_trees_all_close(found[1:], (0.3, 0.3, 0.3), atol=1e-12)


def test_paired_difference_by_hand():
  """Differences 1, 2, 3 and -2 over the common seeds: mean 1, s = sqrt(14/3), t = 1 / (s / 2)."""
  baseline = {0: 10.0, 1: 20.0, 2: 30.0, 3: 41.0, 8: 99.0}
  other = {3: 39.0, 2: 33.0, 1: 22.0, 0: 11.0, 9: 0.0}
  found = paired_difference(baseline, other)
  half = 3.182446 * math.sqrt(14 / 3) / 2
  chex.assert_trees_all_close(found.estimate[1:], (1.0, 1 - half, 1 + half), rtol=1e-6)
  assert (found.estimate.count, found.above) == (4, 3)
  assert found.baseline == pytest.approx(101 / 4)
  x = 2 / math.sqrt(14 / 3) / math.sqrt(3)  # t / sqrt(3): the distribution of 3 degrees of freedom is closed
  assert found.p == pytest.approx(1 - 2 / math.pi * (x / (1 + x * x) + math.atan(x)))


def test_paired_difference_as_scipy():
  draw = np.random.default_rng(1)
  before, after = draw.normal(50, 2, 7), draw.normal(51, 2, 7)
  found = paired_difference(dict(enumerate(before)), dict(enumerate(after)))
  test = stats.ttest_rel(after, before)
  expected = (test.pvalue, *test.confidence_interval(0.95))
  chex.assert_trees_all_close((found.p, *found.estimate[2:]), expected, rtol=1e-12)


@pytest.mark.parametrize("gain", [0.0, 1.5])
def test_constant_differences_have_no_p_value(gain):
  """scipy returns NaN or p = 0 for constant differences, with a warning."""
  before = {seed: 40 + 0.1 * seed for seed in range(5)}
  found = paired_difference(before, {seed: value + gain for seed, value in before.items()})
  assert found.p is None
  assert found.above == (5 if gain else 0)
  chex.assert_trees_all_close(found.estimate[1:], (gain,) * 3, atol=1e-9)


def test_headline_with_no_or_one_pair():
  none = paired_difference({0: 1.0}, {1: 2.0})
  assert none.estimate == Estimate(0, None, None, None)
  assert (none.above, none.baseline, none.p) == (0, None, None)
  one = paired_difference({0: 1.0}, {0: 3.0})
  assert one.estimate == Estimate(1, 2.0, None, None)
  assert (one.above, one.baseline, one.p) == (1, 1.0, None)


def test_holm_by_hand():
  """4 p-values: 0.005 * 4, 0.03 * 3, 0.035 * 2 raised to the value before it, 0.9 * 1."""
  corrected = holm_correction([0.03, None, 0.9, 0.005, 0.035])
  assert corrected[1] is None
  chex.assert_trees_all_close([p for p in corrected if p is not None], [0.09, 0.9, 0.02, 0.09])
  assert holm_correction([0.6, 0.7]) == [1.0, 1.0]
  assert holm_correction([]) == []


def test_percentages_omit_missing_values():
  found = to_percentages(
    {"miou": 0.5, "thin_iou": None, "trimap_miou": {"4": float("nan")}, "mean_accuracy": 1.0}
  )
  assert found == {("miou", ""): 50.0, ("thin_iou", ""): None, ("trimap_miou.4", ""): None}


def test_rows_are_per_metric_class_and_variant():
  """Diverged runs are excluded from means; a class that does not occur has a row without numbers."""
  results = [
    finished("max", 0, [0.5, 0.2, 0.3, None]),
    finished("max", 1, [0.6, 0.2, 0.3, None]),
    diverged("max", 2, 40)._replace(scores={"miou": 0.1}),
    finished("ppool", 1, [0.7, 0.3, 0.3, None]),
    finished("ppool", 2, [0.9, 0.3, 0.3, None]),
  ]
  rows = {(r.metric, r.label, r.variant): r for r in summarize([MAX, PPOOL], results)}
  road = rows["per_class_iou", "Road", "ppool"]
  assert road.estimate[:2] == (2, pytest.approx(80.0))
  assert road.difference.estimate[:2] == (1, pytest.approx(10.0))
  assert rows["miou", "", "max"].estimate[:2] == (2, pytest.approx(100 * (1.0 + 1.1) / 6))
  assert rows["miou", "", "max"].difference is None
  assert rows["per_class_iou", "Sky", "ppool"].estimate == Estimate(0, None, None, None)
  assert {key[0] for key in rows if not key[1]} == {
    "miou",
    "thin_iou",
    "boundary_iou",
    "trimap_miou.4",
    "trimap_miou.16",
    "pixel_accuracy",
  }


def test_holm_correction_covers_variants_and_classes():
  variants = [MAX, PPOOL, ALLCONV]
  rows = summarize(variants, random_results(variants, 5, {"ppool": 0.01}))
  for metric, tests in (("miou", 2), ("per_class_iou", 6)):
    family = [row.difference for row in rows if row.metric == metric and row.difference]
    p = [difference.p for difference in family if difference.p is not None]
    smallest = min(range(tests), key=p.__getitem__)
    corrected = [difference.p_holm for difference in family if difference.p is not None]
    assert corrected[smallest] == pytest.approx(min(1.0, tests * p[smallest]))
    assert all(after >= before for before, after in zip(p, corrected, strict=True))

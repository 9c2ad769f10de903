"""Writes the notes of a study's report: missing and diverged runs, versions of the code, the method."""

from __future__ import annotations

from collections.abc import Sequence

from train.studies.result import Result, VariantInfo
from train.studies.tables import SIGNIFICANT

METHOD = [
  "Scores are in per cent, differences in points. Brackets contain 95 % confidence intervals of the mean over"
  " seeds (Student's t).",
  "Differences are paired: variant minus baseline for each seed that finished for both. p is the p-value of"
  " the two-sided paired t-test after Holm's correction over the variants, separately for each metric; for"
  f" per-class metrics over variants and classes. Bold: p < {SIGNIFICANT}. Intervals are not corrected.",
  '"Above" is the number of seeds for which the variant is above its baseline.',
  "A dash marks a missing value: one seed has no interval, constant differences have no p-value, and a class"
  " that does not occur has no IoU.",
]
"""The notes on the statistics of a report."""


def notes(
  variants: Sequence[VariantInfo], results: Sequence[Result], planned: int, left_out: Sequence[Result]
) -> list[str]:
  """The notes on the runs: missing, diverged and unpaired runs, and versions of the code.

  Args:
    variants: the variants of the report.
    results: results of these variants.
    planned: number of runs in the study.
    left_out: results of variants that are not in the report.
  """
  lines = [_describe_progress(len(results), planned)]
  lines += filter(None, (_describe_diverged(variant.name, results) for variant in variants))
  lines += filter(None, (_describe_unpaired(variant, results) for variant in variants))
  commits = sorted({str(result.details["commit"]) for result in results if result.details.get("commit")})
  if commits:
    lines.append(f"Code: commit{'s' * (len(commits) > 1)} {', '.join(commits)}.")
  lines += filter(None, (_describe_versions(variant.name, results) for variant in variants))
  if left_out:
    names = ", ".join(sorted({result.variant for result in left_out}))
    lines.append(
      f"Not shown: {count_runs(len(left_out))} of variants that the study does not have ({names})."
    )
  return lines


def _describe_progress(done: int, planned: int) -> str:
  if done == planned:
    return f"All {count_runs(planned)} are done." if planned != 1 else "The one run is done."
  return (
    f"Incomplete: {done} of {count_runs(planned)} are done. The intervals and p-values are valid only if the"
    " study is not stopped because of them."
  )


def _describe_versions(variant: str, results: Sequence[Result]) -> str | None:
  """A note if different versions of the code or of custom modules made the runs of a variant."""
  codes = {
    str([result.details.get("code"), result.details.get("modules")])
    for result in results
    if result.variant == variant
  }
  return f"The runs of {variant} were made by {len(codes)} versions of the code." if len(codes) > 1 else None


def _describe_diverged(variant: str, results: Sequence[Result]) -> str | None:
  own = [r for r in results if r.variant == variant and not r.finished]
  runs = ", ".join(f"seed {result.seed} (step {result.step})" for result in own)
  return (
    f"{variant} diverged with {runs}; these runs are excluded from means and differences." if own else None
  )


def _describe_unpaired(variant: VariantInfo, results: Sequence[Result]) -> str | None:
  """A note on the seeds without a pair because one of the two runs diverged."""
  sides = (variant.name, variant.baseline)
  seeds = sorted({r.seed for r in results if r.variant in sides and not r.finished})
  if variant.baseline is None or not seeds:
    return None
  names = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
  return f"{variant.name} is not compared with {variant.baseline} on {names}, where a run diverged."


def count_runs(count: int) -> str:
  """ "1 run" or "2 runs"."""
  return f"{count} run{'s' * (count != 1)}"

"""What a study shows, in sentences: which variants are above their baseline, and notes about the runs."""

from __future__ import annotations

from collections.abc import Sequence

from train.studies.result import Result, VariantInfo
from train.studies.statistics import Estimate, Row
from train.studies.tables import SIGNIFICANT, baselines, difference_text, is_significant, mean_cell, p_text


def headline(variants: Sequence[VariantInfo], results: Sequence[Result], rows: Sequence[Row]) -> list[str]:
  """One to three sentences: what is above its baseline in mIoU, by how much, how sure; what diverged."""
  miou = [row for row in rows if row.metric == "miou" and row.estimate.count]
  if not miou:
    done = f"; {_runs(len(results))} so far diverged" if results else ""
    return [f"No run has finished yet{done}."]
  compared = [row for row in miou if row.difference and row.difference.estimate.count]
  compared.sort(key=lambda row: -row.difference.estimate.mean)
  sentences = _verdict(variants, compared) if compared else [_best(miou, variants)]
  return sentences + _only_diverged(variants, results)


def notes(
  variants: Sequence[VariantInfo], results: Sequence[Result], planned: int, left_out: Sequence[Result]
) -> list[str]:
  """What to know about the runs: how many are missing, what diverged, what could not be paired.

  Args:
    results: of these variants.
    planned: runs of the whole study.
    left_out: results of variants that are not in the study.
  """
  found = [_progress(len(results), planned)]
  found += filter(None, (_diverged(variant.name, results) for variant in variants))
  found += filter(None, (_unpaired(variant, results) for variant in variants))
  commits = sorted({str(result.details["commit"]) for result in results if result.details.get("commit")})
  if commits:
    found.append(f"Code: commit{'s' * (len(commits) > 1)} {', '.join(commits)}.")
  found += filter(None, (_versions(variant.name, results) for variant in variants))
  if left_out:
    names = ", ".join(sorted({result.variant for result in left_out}))
    found.append(f"Not shown: {_runs(len(left_out))} of variants that the study does not have ({names}).")
  return found


METHOD = [
  "Scores are in per cent, differences in points. Brackets hold 95 % confidence intervals of the mean over"
  " seeds (Student's t).",
  "Differences are paired: variant minus baseline for each seed that finished for both. p is of the paired"
  " t-test, two-sided, after Holm's correction over the variants, separately for each metric; for classes"
  f" over variants and classes. Bold: p < {SIGNIFICANT}. Intervals are not corrected.",
  '"Above" counts the seeds with which the variant is above its baseline.',
  "A dash stands for what the runs do not give: no interval from one seed, no p-value where the differences"
  " do not vary, no IoU of a class that does not occur.",
]


def _verdict(variants: Sequence[VariantInfo], compared: list[Row]) -> list[str]:
  """Of rows by falling difference: which are above and below, or why none can be told."""
  against = baselines(variants)
  common = against[0] if len(against) == 1 else "its baseline"
  above = [row for row in compared if is_significant(row.difference) and row.difference.estimate.mean > 0]
  below = [row for row in compared if is_significant(row.difference) and row.difference.estimate.mean < 0]
  sentences = [f"{row.variant} is above {row.baseline} by {_evidence(row)}." for row in above[:1]]
  if len(above) > 1:
    sentences.append(f"Also above {common}: {_list(above[1:])}.")
  if not above:
    best = f"; the best is {compared[0].variant} with {_evidence(compared[0])}"
    sentences.append(
      _no_winner(compared, common) + (best if compared[0].difference.estimate.mean > 0 else "") + "."
    )
  if below:
    sentences.append(f"Below {common}: {_list(below)}.")
  return sentences


def _no_winner(compared: list[Row], common: str) -> str:
  if all(row.difference.estimate.count < 2 for row in compared):
    return "With one seed each, no difference can be told from chance"
  estimates = {row.variant: row.difference.estimate for row in compared}
  beyond = [name for name, found in estimates.items() if found.low is not None and found.low > 0]
  if beyond:
    verb = "are" if len(beyond) > 1 else "is"
    return (
      f"No variant is above {common} after Holm's correction (p < {SIGNIFICANT}), though"
      f" {', '.join(beyond)} {verb} beyond the uncorrected interval"
    )
  return f"No variant is above {common} beyond its interval"


def _evidence(row: Row) -> str:
  """+1.19 [+0.98, +1.41] points of mIoU (10 seeds, p < 0.001 after Holm)."""
  p = p_text(row.difference.p_holm)
  sure = "" if row.difference.p_holm is None else f", p {p if p.startswith('<') else f'= {p}'} after Holm"
  return f"{difference_text(row.difference)} points of mIoU ({_seeds(row.difference.estimate)}{sure})"


def _seeds(estimate: Estimate) -> str:
  return f"{estimate.count} seed{'s' * (estimate.count != 1)}"


def _list(rows: list[Row]) -> str:
  return ", ".join(f"{row.variant} {difference_text(row.difference)}" for row in rows)


def _best(miou: list[Row], variants: Sequence[VariantInfo]) -> str:
  best = max(miou, key=lambda row: row.estimate.mean)
  reason = "No seed has finished for both a variant and its baseline yet; " if baselines(variants) else ""
  score = f"{mean_cell(best.estimate)} % ({_seeds(best.estimate)})"
  text = f"{reason}the highest mean mIoU is that of {best.variant}: {score}."
  return text[0].upper() + text[1:]


def _only_diverged(variants: Sequence[VariantInfo], results: Sequence[Result]) -> list[str]:
  finished = {result.variant for result in results if result.finished}
  counts = {v.name: sum(r.variant == v.name for r in results) for v in variants if v.name not in finished}
  return [f"{name} diverged in {_all(count)}." for name, count in counts.items() if count]


def _all(count: int) -> str:
  return "its only run" if count == 1 else f"all its {count} runs"


def _progress(done: int, planned: int) -> str:
  if done == planned:
    return f"All {_runs(planned)} are done." if planned != 1 else "The one run is done."
  return (
    f"Incomplete: {done} of {_runs(planned)} are done. The intervals and p-values hold for a study that is"
    " not stopped because of them."
  )


def _versions(variant: str, results: Sequence[Result]) -> str | None:
  """That the runs of a variant were not all made by the same code, own modules included."""
  codes = {
    str([result.details.get("code"), result.details.get("modules")])
    for result in results
    if result.variant == variant
  }
  return f"The runs of {variant} were made by {len(codes)} versions of the code." if len(codes) > 1 else None


def _diverged(variant: str, results: Sequence[Result]) -> str | None:
  own = [r for r in results if r.variant == variant and not r.finished]
  runs = ", ".join(f"seed {result.seed} (step {result.step})" for result in own)
  return f"{variant} diverged with {runs}: in no mean and no difference." if own else None


def _unpaired(variant: VariantInfo, results: Sequence[Result]) -> str | None:
  """The seeds that have no pair because one of the two runs diverged."""
  sides = (variant.name, variant.baseline)
  seeds = sorted({r.seed for r in results if r.variant in sides and not r.finished})
  if variant.baseline is None or not seeds:
    return None
  names = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
  return f"{variant.name} is not compared with {variant.baseline} on {names}, where a run diverged."


def _runs(count: int) -> str:
  return f"{count} run{'s' * (count != 1)}"

"""Writes the headline of a study's report: which variants are above or below their baseline in mIoU."""

from __future__ import annotations

from collections.abc import Sequence

from train.studies.estimates import Estimate
from train.studies.notes import count_runs
from train.studies.result import Result, VariantInfo
from train.studies.summary_rows import Row
from train.studies.tables import (
  SIGNIFICANT,
  baseline_names,
  format_difference,
  format_mean,
  format_p,
  is_significant,
)


def headline(variants: Sequence[VariantInfo], results: Sequence[Result], rows: Sequence[Row]) -> list[str]:
  """One to three sentences: the variants above and below their baseline in mIoU, and the diverged ones."""
  miou = [row for row in rows if row.metric == "miou" and row.estimate.count]
  if not miou:
    done = f"; {count_runs(len(results))} so far diverged" if results else ""
    return [f"No run has finished yet{done}."]
  compared = [row for row in miou if row.difference and row.difference.estimate.count]
  compared.sort(key=lambda row: -row.compared.gain)
  sentences = _compare_with_baselines(variants, compared) if compared else [_describe_best(miou, variants)]
  return sentences + _list_all_diverged(variants, results)


def _compare_with_baselines(variants: Sequence[VariantInfo], compared: list[Row]) -> list[str]:
  """The sentences on the variants above and below their baseline, from rows sorted by falling difference."""
  against = baseline_names(variants)
  common = against[0] if len(against) == 1 else "its baseline"
  above = [row for row in compared if is_significant(row.compared) and row.compared.gain > 0]
  below = [row for row in compared if is_significant(row.compared) and row.compared.gain < 0]
  sentences = [f"{row.variant} is above {row.baseline} by {_format_evidence(row)}." for row in above[:1]]
  if len(above) > 1:
    sentences.append(f"Also above {common}: {_join_rows(above[1:])}.")
  if not above:
    best = f"; the best is {compared[0].variant} with {_format_evidence(compared[0])}"
    sentences.append(
      _explain_no_winner(compared, common) + (best if compared[0].compared.gain > 0 else "") + "."
    )
  if below:
    sentences.append(f"Below {common}: {_join_rows(below)}.")
  return sentences


def _explain_no_winner(compared: list[Row], common: str) -> str:
  if all(row.compared.estimate.count < 2 for row in compared):
    return "With one seed each, no difference can be told from chance"
  estimates = {row.variant: row.compared.estimate for row in compared}
  beyond = [name for name, mean in estimates.items() if mean.low is not None and mean.low > 0]
  if beyond:
    verb = "exclude" if len(beyond) > 1 else "excludes"
    return (
      f"No variant is above {common} after Holm's correction (p < {SIGNIFICANT}), though the uncorrected"
      f" 95 % interval of {', '.join(beyond)} {verb} 0"
    )
  return f"No variant is above {common} beyond its confidence interval"


def _format_evidence(row: Row) -> str:
  """+1.19 [+0.98, +1.41] points of mIoU (10 seeds, p < 0.001 after Holm)."""
  p = format_p(row.compared.p_holm)
  sure = "" if row.compared.p_holm is None else f", p {p if p.startswith('<') else f'= {p}'} after Holm"
  return f"{format_difference(row.compared)} points of mIoU ({_count_seeds(row.compared.estimate)}{sure})"


def _count_seeds(estimate: Estimate) -> str:
  return f"{estimate.count} seed{'s' * (estimate.count != 1)}"


def _join_rows(rows: list[Row]) -> str:
  return ", ".join(f"{row.variant} {format_difference(row.compared)}" for row in rows)


def _describe_best(miou: list[Row], variants: Sequence[VariantInfo]) -> str:
  best = max(miou, key=lambda row: row.estimate.mean or 0.0)
  reason = (
    "No seed has finished for both a variant and its baseline yet; " if baseline_names(variants) else ""
  )
  score = f"{format_mean(best.estimate)} % ({_count_seeds(best.estimate)})"
  text = f"{reason}the highest mean mIoU is that of {best.variant}: {score}."
  return text[0].upper() + text[1:]


def _list_all_diverged(variants: Sequence[VariantInfo], results: Sequence[Result]) -> list[str]:
  """A sentence for each variant without a finished run."""
  finished = {result.variant for result in results if result.finished}
  counts = {v.name: sum(r.variant == v.name for r in results) for v in variants if v.name not in finished}
  return [
    f"{name} diverged in {'its only run' if count == 1 else f'all its {count} runs'}."
    for name, count in counts.items()
    if count
  ]

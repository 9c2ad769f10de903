"""Writes report.csv, a row for each metric of each variant, and runs.csv, a row for each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flax.traverse_util import flatten_dict

from train.studies.markup import to_csv
from train.studies.result import Result
from train.studies.summary_rows import Row

_NESTED = ("trimap_miou", "per_class_iou", "per_class_boundary_iou")


def format_report_csv(rows: Sequence[Row]) -> str:
  """The content of report.csv: estimates and differences in per cent and points."""
  ends = ("mean", "ci_low", "ci_high")
  differences = ("pairs", "difference", "difference_low", "difference_high", "p", "p_holm")
  header = ["variant", "metric", "class", "seeds", *ends, "baseline", *differences]
  lines = []
  for row in rows:
    difference = row.difference
    compared = [*difference.estimate, difference.p, difference.p_holm] if difference else [None] * 6
    lines.append([row.variant, row.metric, row.label, *row.estimate, row.baseline, *compared])
  return to_csv(header, lines)


def format_runs_csv(results: Sequence[Result]) -> str:
  """The content of runs.csv: scores from 0 to 1, nested ones in columns such as "trimap_miou.4"."""
  fields = ("variant", "seed", "status", "step", "seconds")
  scores = [_flatten_scores(result.scores) for result in results]
  columns = list(dict.fromkeys(name for run in scores for name in run))
  lines = [
    [*(getattr(result, field) for field in fields), *(run.get(name) for name in columns)]
    for result, run in zip(results, scores, strict=True)
  ]
  return to_csv([*fields, *columns], lines)


def _flatten_scores(scores: Mapping) -> dict:
  """The scores by dotted name: numbers over all classes, then trimap mIoU by width, then IoU by class."""
  totals = {name: value for name, value in scores.items() if not isinstance(value, (Mapping, list))}
  nested = {name: scores.get(name, {}) for name in _NESTED}
  return totals | flatten_dict(nested, sep=".")

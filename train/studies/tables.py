"""Builds the tables of a study's report: means, confidence intervals and differences as text."""

from __future__ import annotations

from collections.abc import Sequence

from train.studies.estimates import Difference, Estimate
from train.studies.markup import DASH, MINUS, Table
from train.studies.result import Result, VariantInfo
from train.studies.summary_rows import Row
from train.visualization.text import short_class_name

SIGNIFICANT = 0.05
"""The p-value after Holm's correction below which a difference is bold and counts as significant."""

# "z": no minus sign for values that round to zero.
_PERCENT, _POINTS = "z.1f", "+z.2f"
_MAIN = ("miou", "thin_iou")
_TITLES = {
  "miou": "mIoU",
  "thin_iou": "thin-class IoU",
  "boundary_iou": "Boundary IoU",
  "pixel_accuracy": "pixel accuracy",
}


def metric_title(metric: str) -> str:
  """The title of a metric."""
  name, _, width = metric.partition(".")
  return f"trimap mIoU ({width} px)" if name == "trimap_miou" else _TITLES[name]


def main_table(variants: Sequence[VariantInfo], results: Sequence[Result], rows: Sequence[Row]) -> Table:
  """A row for each variant: runs, and mean, difference, p and seeds above for mIoU and thin-class IoU."""
  table = _metrics_table(variants, rows, [metric for metric in _measured_metrics(rows) if metric in _MAIN])
  table.header[1:1] = ["title", "runs"]
  for line, variant in zip(table.rows, variants, strict=True):
    line[1:1] = [variant.title, format_runs(variant.name, results)]
  return table


def other_table(variants: Sequence[VariantInfo], rows: Sequence[Row]) -> Table | None:
  """As `main_table` for the other metrics, with the narrowest trimap only; None without other metrics."""
  others = [metric for metric in _measured_metrics(rows) if metric not in _MAIN]
  trimaps = sorted((m for m in others if "." in m), key=lambda metric: float(metric.partition(".")[2]))
  metrics = [metric for metric in others if metric not in trimaps[1:]]
  return _metrics_table(variants, rows, metrics) if metrics else None


def class_table(variants: Sequence[VariantInfo], rows: Sequence[Row], thin: frozenset[str]) -> Table:
  """A row for each class and a column for each variant, with the mean IoU and the difference below."""
  cells = {(row.label, row.variant): row for row in rows if row.metric == "per_class_iou"}
  body = [
    [short_class_name(name) + (" (thin)" if name in thin else "")]
    + [_class_cell(cells[name, variant.name]) for variant in variants]
    for name in dict.fromkeys(label for label, _ in cells)
  ]
  return Table(["class", *(variant.name for variant in variants)], body)


def format_runs(variant: str, results: Sequence[Result]) -> str:
  """The numbers of finished and diverged runs and the steps of divergence: "8; 2 diverged, steps 40, 312"."""
  own = [result for result in results if result.variant == variant]
  steps = sorted(result.step for result in own if not result.finished)
  if not steps:
    return str(len(own))
  listed = f"{steps[0]} to {steps[-1]}" if len(steps) > 3 else ", ".join(map(str, steps))
  diverged = f"diverged, step{'s' * (len(steps) > 1)} {listed}"
  return diverged if len(own) == 1 else f"{len(own) - len(steps)}; {len(steps)} {diverged}"


def format_mean(estimate: Estimate) -> str:
  """Formats as "53.3 [52.5, 54.1]", with a dash for a missing interval or value."""
  if estimate.mean is None:
    return DASH
  return f"{_format_number(estimate.mean, _PERCENT)} {_format_interval(estimate, _PERCENT)}"


def format_difference(difference: Difference) -> str:
  """Formats as "+1.20 [+0.43, +1.97]", with a dash for a missing interval or pair."""
  if difference.estimate.mean is None:
    return DASH
  return (
    f"{_format_number(difference.estimate.mean, _POINTS)} {_format_interval(difference.estimate, _POINTS)}"
  )


def format_p(p: float | None) -> str:
  """Formats a p-value as "0.012" or "< 0.001", with a dash for a missing value."""
  if p is None:
    return DASH
  return "< 0.001" if p < 0.001 else f"{p:.3f}"


def is_significant(difference: Difference) -> bool:
  """Whether the p-value after Holm's correction is below `SIGNIFICANT`."""
  return difference.p_holm is not None and difference.p_holm < SIGNIFICANT


def baseline_names(variants: Sequence[VariantInfo]) -> list[str]:
  """The names of the variants that others are compared with, without duplicates."""
  return list(dict.fromkeys(variant.baseline for variant in variants if variant.baseline))


def _metrics_table(variants: Sequence[VariantInfo], rows: Sequence[Row], metrics: Sequence[str]) -> Table:
  """A row for each variant with mean, difference, p and seeds above for each metric."""
  by_name = {(row.metric, row.variant): row for row in rows if not row.label}
  against = baseline_names(variants)
  compared = [f"difference to {against[0] if len(against) == 1 else 'baseline'}", "p (Holm)", "above"]
  table = Table(["variant"], [[variant.name] for variant in variants])
  if len(against) > 1:
    table.header.append("baseline")
    for line, variant in zip(table.rows, variants, strict=True):
      line.append(variant.baseline or DASH)
  for metric in metrics:
    table.header.extend([f"{metric_title(metric)} %", *(compared if against else [])])
    for line, variant in zip(table.rows, variants, strict=True):
      row = by_name[metric, variant.name]
      line.extend([format_mean(row.estimate), *(_difference_cells(row.difference) if against else [])])
  return table


def _difference_cells(difference: Difference | None) -> list[str]:
  if difference is None or not difference.estimate.count:
    return [DASH] * 3
  above = f"{difference.above} of {difference.estimate.count}"
  return [_bold_difference(difference), format_p(difference.p_holm), above]


def _bold_difference(difference: Difference) -> str:
  text = format_difference(difference)
  return f"**{text}**" if is_significant(difference) else text


def _class_cell(row: Row) -> str:
  mean = DASH if row.estimate.mean is None else _format_number(row.estimate.mean, _PERCENT)
  pairs = row.difference.estimate.count if row.difference else 0
  return f"{mean}<br>{_bold_difference(row.difference)}" if row.difference and pairs else mean


def _measured_metrics(rows: Sequence[Row]) -> list[str]:
  """The metrics over all classes that any variant has, in order."""
  return list(dict.fromkeys(row.metric for row in rows if not row.label and row.estimate.count))


def _format_interval(estimate: Estimate, style: str) -> str:
  if estimate.low is None or estimate.high is None:
    return f"[{DASH}]"
  return f"[{_format_number(estimate.low, style)}, {_format_number(estimate.high, style)}]"


def _format_number(value: float, style: str) -> str:
  return format(value, style).replace("-", MINUS)

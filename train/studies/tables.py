"""The tables of a study's report: means, confidence intervals and differences as text."""

from __future__ import annotations

from collections.abc import Sequence

from train.studies.markup import DASH, MINUS, Table
from train.studies.result import Result, VariantInfo
from train.studies.statistics import Difference, Estimate, Row
from train.visualization.text import short_class_name

SIGNIFICANT = 0.05
"""The p-value, after Holm's correction, below which a difference is bold and called one."""

# "z": what rounds to zero has no minus.
_SHARE, _POINTS = "z.1f", "+z.2f"
_MAIN = ("miou", "thin_iou")
_TITLES = {
  "miou": "mIoU",
  "thin_iou": "thin-class IoU",
  "boundary_iou": "Boundary IoU",
  "pixel_accuracy": "pixel accuracy",
}


def metric_title(metric: str) -> str:
  """What a reader calls a metric."""
  name, _, width = metric.partition(".")
  return f"trimap mIoU ({width} px)" if name == "trimap_miou" else _TITLES[name]


def main_table(variants: Sequence[VariantInfo], results: Sequence[Result], rows: Sequence[Row]) -> Table:
  """A row for each variant: its runs, and mean, difference, p and seeds above for mIoU and thin classes."""
  table = _metrics_table(variants, rows, [metric for metric in _measured(rows) if metric in _MAIN])
  table.header[1:1] = ["title", "runs"]
  for line, variant in zip(table.rows, variants, strict=True):
    line[1:1] = [variant.title, runs_of(variant.name, results)]
  return table


def other_table(variants: Sequence[VariantInfo], rows: Sequence[Row]) -> Table | None:
  """As `main_table`, for the other metrics, of the trimaps the narrowest; None if there are none."""
  others = [metric for metric in _measured(rows) if metric not in _MAIN]
  trimaps = sorted((m for m in others if "." in m), key=lambda metric: float(metric.partition(".")[2]))
  shown = [metric for metric in others if metric not in trimaps[1:]]
  return _metrics_table(variants, rows, shown) if shown else None


def class_table(variants: Sequence[VariantInfo], rows: Sequence[Row], thin: frozenset[str]) -> Table:
  """A row for each class, a column for each variant: the mean IoU, below it the difference."""
  cells = {(row.label, row.variant): row for row in rows if row.metric == "per_class_iou"}
  body = [
    [short_class_name(name) + (" (thin)" if name in thin else "")]
    + [_class_cell(cells[name, variant.name]) for variant in variants]
    for name in dict.fromkeys(label for label, _ in cells)
  ]
  return Table(["class", *(variant.name for variant in variants)], body)


def runs_of(variant: str, results: Sequence[Result]) -> str:
  """How many runs finished, how many diverged and at which steps: "8; 2 diverged, steps 40, 312"."""
  own = [result for result in results if result.variant == variant]
  steps = sorted(result.step for result in own if not result.finished)
  if not steps:
    return str(len(own))
  shown = f"{steps[0]} to {steps[-1]}" if len(steps) > 3 else ", ".join(map(str, steps))
  diverged = f"diverged, step{'s' * (len(steps) > 1)} {shown}"
  return diverged if len(own) == 1 else f"{len(own) - len(steps)}; {len(steps)} {diverged}"


def mean_cell(estimate: Estimate) -> str:
  """53.3 [52.5, 54.1]; a dash for the interval of a single value, and for no value."""
  if estimate.mean is None:
    return DASH
  return f"{_number(estimate.mean, _SHARE)} {_interval(estimate, _SHARE)}"


def difference_text(difference: Difference) -> str:
  """+1.20 [+0.43, +1.97]; a dash where there is no interval or no pair."""
  if difference.estimate.mean is None:
    return DASH
  return f"{_number(difference.estimate.mean, _POINTS)} {_interval(difference.estimate, _POINTS)}"


def p_text(p: float | None) -> str:
  if p is None:
    return DASH
  return "< 0.001" if p < 0.001 else f"{p:.3f}"


def is_significant(difference: Difference) -> bool:
  return difference.p_holm is not None and difference.p_holm < SIGNIFICANT


def baselines(variants: Sequence[VariantInfo]) -> list[str]:
  """The names of the variants that others are compared with, each once."""
  return list(dict.fromkeys(variant.baseline for variant in variants if variant.baseline))


def _metrics_table(variants: Sequence[VariantInfo], rows: Sequence[Row], metrics: Sequence[str]) -> Table:
  """The name of each variant, and for each metric mean, difference, p and seeds above."""
  by_name = {(row.metric, row.variant): row for row in rows if not row.label}
  against = baselines(variants)
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
      line.extend([mean_cell(row.estimate), *(_difference_cells(row.difference) if against else [])])
  return table


def _difference_cells(difference: Difference | None) -> list[str]:
  if difference is None or not difference.estimate.count:
    return [DASH] * 3
  above = f"{difference.above} of {difference.estimate.count}"
  return [_bold_difference(difference), p_text(difference.p_holm), above]


def _bold_difference(difference: Difference) -> str:
  text = difference_text(difference)
  return f"**{text}**" if is_significant(difference) else text


def _class_cell(row: Row) -> str:
  mean = DASH if row.estimate.mean is None else _number(row.estimate.mean, _SHARE)
  pairs = row.difference.estimate.count if row.difference else 0
  return f"{mean}<br>{_bold_difference(row.difference)}" if pairs else mean


def _measured(rows: Sequence[Row]) -> list[str]:
  """The metrics of the whole that some variant has, in order."""
  return list(dict.fromkeys(row.metric for row in rows if not row.label and row.estimate.count))


def _interval(estimate: Estimate, style: str) -> str:
  if estimate.low is None:
    return f"[{DASH}]"
  return f"[{_number(estimate.low, style)}, {_number(estimate.high, style)}]"


def _number(value: float, style: str) -> str:
  return format(value, style).replace("-", MINUS)

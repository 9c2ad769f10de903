"""The report of a study, from however many of its runs are done."""

from __future__ import annotations

import collections
import contextlib
import pathlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence

from train.studies import figures, tables
from train.studies.markup import csv_text, latex, markdown
from train.studies.result import STATUSES, Result, VariantInfo
from train.studies.statistics import Row, summarize
from train.studies.summary import METHOD, headline, notes
from train.visualization.colorize import write_figure

_FILES = (
  "Files: report.csv (all metrics, trimap widths and classes; per cent and points), runs.csv (every run;"
  " scores from 0 to 1), report.tex, report.pdf, figure5-VARIANT.pdf (what each class gains)."
)


def write_report(
  study_name: str,
  title: str,
  variants: Sequence[VariantInfo],
  results: Sequence[Result],
  planned: int,
  out: pathlib.Path,
  thin: frozenset[str] = frozenset(),
  remark: str = "",
) -> None:
  """Writes the report into `out`, each file atomically, in place of that of an earlier call.

  report.md; report.csv, a row for each variant, metric and class, in per cent and points; report.tex, the
  main table; report.png and .pdf, every seed; figure5-VARIANT.png and .pdf for each variant that has a
  finished seed in common with its baseline; runs.csv, a row for each run, scores as the evaluation gives
  them, from 0 to 1.

  Args:
    study_name, title: for the heading.
    variants: in the order of the tables.
    results: of any number of runs; those of other variants are left out, with a note.
    planned: runs of the whole study.
    thin: names of the thin classes.
    remark: a sentence that stands first, such as that this is not the whole study.

  Raises:
    ValueError: two variants of one name, a baseline that is no variant, two results of one variant and
      seed, or an unknown status.
    OSError: a file cannot be written.
  """
  _check(variants, results)
  places = {variant.name: place for place, variant in enumerate(variants)}
  own = [result for result in results if result.variant in places]
  own.sort(key=lambda result: (places[result.variant], result.seed))
  left_out = [result for result in results if result.variant not in places]
  rows = summarize(variants, own)
  main = tables.main_table(variants, own, rows)
  parts = [
    f"# {title}",
    " ".join(filter(None, (remark, *headline(variants, own, rows)))),
    markdown(main),
    f"![Every seed of {study_name}](report.png)",
    *_more_tables(variants, rows, thin),
    "## Notes",
    "\n".join(f"- {line}" for line in (*notes(variants, own, planned, left_out), *METHOD, _FILES)),
  ]
  with _replacing(out) as draft:
    (draft / "report.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    (draft / "report.tex").write_text(latex(main.without({"variant", "above"}), title), encoding="utf-8")
    (draft / "report.csv").write_text(_report_csv(rows), encoding="utf-8")
    (draft / "runs.csv").write_text(_runs_csv(own), encoding="utf-8")
    write_figure(figures.draw_seeds(title, variants, own, rows), draft / "report")
    for variant in variants:
      figure = figures.draw_gains(variant, variants, own, rows, thin)
      if figure is not None:
        write_figure(figure, draft / f"figure5-{variant.name}")


@contextlib.contextmanager
def _replacing(out: pathlib.Path) -> Iterator[pathlib.Path]:
  """A folder for drafts, whose files are moved to `out` when all are written; old figures are deleted.

  Several processes of one study may write its report at the same time, so each has its own folder.
  """
  out.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory(dir=out, prefix=".report-") as folder:
    draft = pathlib.Path(folder)
    yield draft
    written = sorted(draft.iterdir())
    for path in written:
      path.replace(out / path.name)
    for old in (*out.glob("figure5-*.png"), *out.glob("figure5-*.pdf")):
      if draft / old.name not in written:
        old.unlink(missing_ok=True)


def _more_tables(variants: Sequence[VariantInfo], rows: Sequence[Row], thin: frozenset[str]) -> list[str]:
  parts = []
  if other := tables.other_table(variants, rows):
    parts += ["## Other metrics", markdown(other)]
  if rows:
    parts += ["## IoU of each class, per cent", markdown(tables.class_table(variants, rows, thin))]
  return parts


def _check(variants: Sequence[VariantInfo], results: Sequence[Result]) -> None:
  names = collections.Counter(variant.name for variant in variants)
  for variant in variants:
    if names[variant.name] > 1:
      raise ValueError(f"variants: expected each name once, got {variant.name!r} {names[variant.name]} times")
    if variant.baseline is not None and variant.baseline not in names:
      known = ", ".join(names)
      raise ValueError(
        f"variant {variant.name!r}: expected a baseline among {known}, got {variant.baseline!r}"
      )
  runs = collections.Counter((result.variant, result.seed) for result in results)
  for result in results:
    where = f"results: variant {result.variant!r}, seed {result.seed}"
    if runs[result.variant, result.seed] > 1:
      raise ValueError(f"{where}: expected one, got {runs[result.variant, result.seed]}")
    if result.status not in STATUSES:
      raise ValueError(f"{where}: expected the status {' or '.join(STATUSES)}, got {result.status!r}")


def _report_csv(rows: Sequence[Row]) -> str:
  ends = ("mean", "ci_low", "ci_high")
  differences = ("pairs", "difference", "difference_low", "difference_high", "p", "p_holm")
  header = ["variant", "metric", "class", "seeds", *ends, "baseline", *differences]
  lines = []
  for row in rows:
    difference = row.difference
    compared = [*difference.estimate, difference.p, difference.p_holm] if difference else [None] * 6
    lines.append([row.variant, row.metric, row.label, *row.estimate, row.baseline, *compared])
  return csv_text(header, lines)


def _runs_csv(results: Sequence[Result]) -> str:
  """Columns of nested scores are called as "trimap_miou.4" and "per_class_iou.Pole"."""
  fields = ("variant", "seed", "status", "step", "seconds")
  scores = [_flat(result.scores) for result in results]
  columns = list(dict.fromkeys(name for found in scores for name in found))
  lines = [
    [*(getattr(result, field) for field in fields), *(found.get(name) for name in columns)]
    for result, found in zip(results, scores, strict=True)
  ]
  return csv_text([*fields, *columns], lines)


def _flat(scores: Mapping) -> dict:
  """Numbers of the whole, of each trimap's width, and the IoU of each class, in this order."""
  flat = {name: value for name, value in scores.items() if not isinstance(value, (Mapping, list))}
  for name in ("trimap_miou", "per_class_iou", "per_class_boundary_iou"):
    flat |= {f"{name}.{part}": value for part, value in scores.get(name, {}).items()}
  return flat

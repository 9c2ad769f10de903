"""Writes the report of a study from the results so far."""

from __future__ import annotations

import collections
import contextlib
import pathlib
import tempfile
from collections.abc import Iterator, Sequence

from train.studies import figures, tables
from train.studies.csv_files import format_report_csv, format_runs_csv
from train.studies.headline import headline
from train.studies.markup import to_latex, to_markdown
from train.studies.notes import METHOD, notes
from train.studies.result import STATUSES, Result, VariantInfo
from train.studies.summary_rows import Row, summarize
from train.visualization.colorize import write_figure

_FILES = (
  "Files: report.csv (all metrics, trimap widths and classes; in per cent and points), runs.csv (all runs;"
  " scores from 0 to 1), report.tex, report.pdf, figure5-VARIANT.pdf (the gain of each class)."
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
  """Writes the report into `out`; each file replaces that of an earlier report atomically.

  The files are report.md; report.csv, with a row for each variant, metric and class, in per cent and points;
  report.tex, the main table; report.png and .pdf, which show every seed; figure5-VARIANT.png and .pdf for
  each variant with a finished seed in common with its baseline; and runs.csv, with a row for each run and
  scores from 0 to 1.

  Args:
    study_name: name of the study.
    title: heading of the report.
    variants: the variants in the order of the tables.
    results: results of any number of runs; results of other variants are left out, with a note.
    planned: number of runs in the study.
    out: the folder to write into.
    thin: names of the thin classes.
    remark: a first sentence, such as a note that the report covers a part of the study.

  Raises:
    ValueError: two variants have the same name, a baseline is not among the variants, two results have the
      same variant and seed, or a status is unknown.
    OSError: a file cannot be written.
  """
  _validate(variants, results)
  order = {variant.name: index for index, variant in enumerate(variants)}
  own = [result for result in results if result.variant in order]
  own.sort(key=lambda result: (order[result.variant], result.seed))
  left_out = [result for result in results if result.variant not in order]
  rows = summarize(variants, own)
  main = tables.main_table(variants, own, rows)
  parts = [
    f"# {title}",
    " ".join(filter(None, (remark, *headline(variants, own, rows)))),
    to_markdown(main),
    f"![Every seed of {study_name}](report.png)",
    *_format_other_tables(variants, rows, thin),
    "## Notes",
    "\n".join(f"- {line}" for line in (*notes(variants, own, planned, left_out), *METHOD, _FILES)),
  ]
  with _replace_files(out) as draft:
    (draft / "report.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    (draft / "report.tex").write_text(
      to_latex(main.drop_columns({"variant", "above"}), title), encoding="utf-8"
    )
    (draft / "report.csv").write_text(format_report_csv(rows), encoding="utf-8")
    (draft / "runs.csv").write_text(format_runs_csv(own), encoding="utf-8")
    write_figure(figures.draw_seeds(title, variants, own, rows), draft / "report")
    for variant in variants:
      figure = figures.draw_gains(variant, variants, own, rows, thin)
      if figure is not None:
        write_figure(figure, draft / f"figure5-{variant.name}")


@contextlib.contextmanager
def _replace_files(out: pathlib.Path) -> Iterator[pathlib.Path]:
  """A temporary folder whose files are moved to `out` at the end of the block; old figures are deleted.

  Each call has its own temporary folder, because several processes may write the report at the same time.
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


def _format_other_tables(
  variants: Sequence[VariantInfo], rows: Sequence[Row], thin: frozenset[str]
) -> list[str]:
  parts = []
  if other := tables.other_table(variants, rows):
    parts += ["## Other metrics", to_markdown(other)]
  if rows:
    parts += ["## IoU of each class, per cent", to_markdown(tables.class_table(variants, rows, thin))]
  return parts


def _validate(variants: Sequence[VariantInfo], results: Sequence[Result]) -> None:
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

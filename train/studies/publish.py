"""From the results of a study to its report, one for each data set, and to results.json."""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Sequence

from train.data.classes import ClassTable
from train.data.registry import get_dataset
from train.studies.definition import Study, Variant
from train.studies.exchange import write_results_file
from train.studies.folder import locked
from train.studies.report import write_report
from train.studies.result import Result, VariantInfo, read_results


def publish(
  study: Study,
  folder: pathlib.Path,
  out: pathlib.Path,
  variants: Sequence[Variant] | None = None,
  seeds: Collection[int] | None = None,
) -> None:
  """Writes the report of the results so far. Several processes may do so: one after another.

  A study of several data sets has a report for each, OUT/DATA/report.md, and one with their first tables.

  Args:
    folder: of the study.
    out: for the report; results.json stays in the study's folder.
    variants: to report, with their baselines; None: all.
    seeds: to report; None: all.
  """
  with locked(out):
    results = read_results(folder)
    if out == folder:
      write_results_file(study.name, results, folder / "results.json")
    shown = _with_baselines(study, variants)
    results = [r for r in results if seeds is None or r.seed in seeds]
    groups = _by_data(study, shown)
    if len(groups) == 1:
      _write(study, shown, results, out, seeds, study.title or study.name, variants is not None)
    else:
      for data, group in groups.items():
        title = f"{study.title or study.name}: {data}"
        _write(study, group, results, out / data, seeds, title, variants is not None)
      _write_overview(study, list(groups), out)
  done = sum(result.variant in {variant.name for variant in shown} for result in results)
  print(f"report of {done} runs: {out / 'report.md'}, .csv, .tex, .png")


def _with_baselines(study: Study, variants: Sequence[Variant] | None) -> list[Variant]:
  if variants is None:
    return list(study.variants)
  names = {variant.name for variant in variants} | {study.baseline_of(variant) for variant in variants}
  return [variant for variant in study.variants if variant.name in names]


def _by_data(study: Study, variants: Sequence[Variant]) -> dict[str, list[Variant]]:
  """The variants of each data set."""
  groups: dict[str, list[Variant]] = {}
  for variant in variants:
    groups.setdefault(study.config(variant, study.seeds[0]).data.name, []).append(variant)
  return groups


def _write(study, variants, results: Sequence[Result], out, seeds, title: str, selected: bool) -> None:
  names = {variant.name for variant in variants}
  others = {variant.name for variant in study.variants} - names
  results = [result for result in results if result.variant not in others]
  wanted = study.seeds if seeds is None else seeds
  planned = {(name, seed) for name in names for seed in wanted}
  planned |= {(result.variant, result.seed) for result in results if result.variant in names}
  infos = [VariantInfo(v.name, v.title or v.name, _baseline(study, v, names)) for v in variants]
  table = _classes(study.config(variants[0], study.seeds[0]))
  thin = frozenset(row.name for row in table.classes if row.thin)
  selection = []
  if selected:
    selection.append(f"the variants {', '.join(sorted(names))}")
  if seeds is not None:
    selection.append(f"the seeds {', '.join(map(str, sorted(seeds)))}")
  remark = f"A selection of the study: {' and '.join(selection)}." if selection else ""
  write_report(study.name, title, infos, results, len(planned), out, thin, remark)


def _baseline(study: Study, variant: Variant, names: Collection[str]) -> str | None:
  """The baseline's name, if it is reported, too: that of another data set is none."""
  name = study.baseline_of(variant)
  return name if name in names else None


def _classes(config) -> ClassTable:
  return get_dataset(config.data.name).class_table(**config.data.options)


def _write_overview(study: Study, groups: Sequence[str], out: pathlib.Path) -> None:
  """report.md of a study of several data sets: the first sentences and table of each."""
  parts = [f"# {study.title or study.name}"]
  for data in groups:
    text = (out / data / "report.md").read_text(encoding="utf-8")
    first = text.split("\n![", 1)[0].split("\n", 1)[1].strip()
    parts += [f"## {data}", first, f"[Figure, classes and notes]({data}/report.md)"]
  (out / "report.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")

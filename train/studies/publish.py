"""Writes a study's reports, one for each data set, and results.json from the results of its runs."""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Sequence

from train.data.classes import ClassTable
from train.data.registry import get_dataset
from train.studies.definition import Study, Variant
from train.studies.folder import lock_folder
from train.studies.report import write_report
from train.studies.result import Result, VariantInfo, read_results
from train.studies.results_file import write_results_file


def publish(
  study: Study,
  folder: pathlib.Path,
  out: pathlib.Path,
  variants: Sequence[Variant] | None = None,
  seeds: Collection[int] | None = None,
) -> None:
  """Writes the report of the results so far. A lock serializes several processes.

  A study with several data sets has a report for each, OUT/DATA/report.md, and an overview OUT/report.md with
  the main table of each.

  Args:
    study: the study.
    folder: folder of the study.
    out: folder of the report; results.json is written only if this is the study's folder.
    variants: the variants to report, to which their baselines are added; None: all.
    seeds: the seeds to report; None: all.
  """
  with lock_folder(out):
    results = read_results(folder)
    if out == folder:
      write_results_file(study.name, results, folder / "results.json")
    reported = _add_baselines(study, variants)
    results = [r for r in results if seeds is None or r.seed in seeds]
    groups = _group_by_dataset(study, reported)
    if len(groups) == 1:
      _write_report(study, reported, results, out, seeds, study.title or study.name, variants is not None)
    else:
      for data, group in groups.items():
        title = f"{study.title or study.name}: {data}"
        _write_report(study, group, results, out / data, seeds, title, variants is not None)
      _write_overview(study, list(groups), out)
  done = sum(result.variant in {variant.name for variant in reported} for result in results)
  print(f"report of {done} runs: {out / 'report.md'}, .csv, .tex, .png")


def _add_baselines(study: Study, variants: Sequence[Variant] | None) -> list[Variant]:
  if variants is None:
    return list(study.variants)
  names = {variant.name for variant in variants} | {study.baseline_name(variant) for variant in variants}
  return [variant for variant in study.variants if variant.name in names]


def _group_by_dataset(study: Study, variants: Sequence[Variant]) -> dict[str, list[Variant]]:
  """The variants by data set."""
  groups: dict[str, list[Variant]] = {}
  for variant in variants:
    groups.setdefault(study.resolve_config(variant, study.seeds[0]).data.name, []).append(variant)
  return groups


def _write_report(study, variants, results: Sequence[Result], out, seeds, title: str, selected: bool) -> None:
  names = {variant.name for variant in variants}
  others = {variant.name for variant in study.variants} - names
  results = [result for result in results if result.variant not in others]
  reported_seeds = study.seeds if seeds is None else seeds
  planned = {(name, seed) for name in names for seed in reported_seeds}
  planned |= {(result.variant, result.seed) for result in results if result.variant in names}
  infos = [VariantInfo(v.name, v.title or v.name, _reported_baseline(study, v, names)) for v in variants]
  table = _class_table(study.resolve_config(variants[0], study.seeds[0]))
  thin = frozenset(row.name for row in table.classes if row.thin)
  selection = []
  if selected:
    selection.append(f"the variants {', '.join(sorted(names))}")
  if seeds is not None:
    selection.append(f"the seeds {', '.join(map(str, sorted(seeds)))}")
  remark = f"A selection of the study: {' and '.join(selection)}." if selection else ""
  write_report(study.name, title, infos, results, len(planned), out, thin, remark)


def _reported_baseline(study: Study, variant: Variant, names: Collection[str]) -> str | None:
  """The baseline's name; None if the report does not include it, as for another data set."""
  name = study.baseline_name(variant)
  return name if name in names else None


def _class_table(config) -> ClassTable:
  return get_dataset(config.data.name).class_table(**config.data.options)


def _write_overview(study: Study, groups: Sequence[str], out: pathlib.Path) -> None:
  """Writes report.md of a study with several data sets: the headline and main table of each."""
  parts = [f"# {study.title or study.name}"]
  for data in groups:
    text = (out / data / "report.md").read_text(encoding="utf-8")
    first = text.split("\n![", 1)[0].split("\n", 1)[1].strip()
    parts += [f"## {data}", first, f"[Figure, classes and notes]({data}/report.md)"]
  (out / "report.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")

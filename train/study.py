"""Trains and compares the variants of a study, with seeds and intervals.

python -m train.study --study=configs/studies/NAME.py[:key=value,...] --workdir=DIR [--seeds 0-9]

A run that is done is not repeated; a run that was interrupted goes on. Several processes may run the same
command on one folder: each takes the next run that nobody trains. Runs are ordinary workdirs,
DIR/runs/VARIANT/seed-N; the report is DIR/report.md, .csv, .tex and .png.
"""

from __future__ import annotations

import argparse
import logging
import pathlib
from collections.abc import Collection, Sequence

from train.data.classes import ClassTable
from train.data.registry import dataset
from train.studies.definition import Study, choose, load_study, parse_seeds
from train.studies.exchange import merge_results, write_results_file
from train.studies.preview import print_plan, print_runs
from train.studies.report import write_report
from train.studies.result import VariantInfo, read_results
from train.studies.runner import Run, check_folder, open_folder, plan_runs, train_runs
from train.utils.errors import report_errors


def main(command: list[str] | None = None) -> None:
  arguments = _parser().parse_args(command)
  logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
  logging.getLogger("train").setLevel(logging.INFO)
  with report_errors():
    run_study(**vars(arguments))


def run_study(
  study: str,
  workdir: pathlib.Path,
  seeds: str | None = None,
  only: Sequence[str] | None = None,
  merge: Sequence[pathlib.Path] = (),
  index: int | None = None,
  mode: str = "train",
) -> None:
  """What the command does; `mode` is "train", "list", "dry-run" or "report".

  Raises:
    FileNotFoundError, ImportError, ValueError, OSError: what is wrong with the study, its folder or a run.
  """
  described = load_study(study)
  variants = choose(described, only)
  runs = plan_runs(workdir, variants, parse_seeds(seeds) if seeds else described.seeds)
  if mode == "dry-run":
    print_plan(described, variants, runs)
    return
  if index is not None and not 0 <= index < len(runs):
    raise ValueError(f"--index: expected 0 to {len(runs) - 1}, got {index}")
  check_folder(workdir, described)
  if mode == "list":
    print_runs(runs)
    return
  open_folder(workdir, described)
  if new := merge_results(merge, described.name, workdir):
    print(f"{new} results taken over")
    check_folder(workdir, described)
  through = mode == "report" or train_runs(described, runs if index is None else [runs[index]])
  # What was trained now joins all that there is; a report alone may be of some of it.
  names = [variant.name for variant in variants] if mode == "report" else None
  report(described, runs, workdir, names, {run.seed for run in runs} if mode == "report" and seeds else None)
  if not through:
    print("interrupted: the same command goes on from there")


def report(
  study: Study,
  runs: Sequence[Run],
  workdir: pathlib.Path,
  names: Sequence[str] | None = None,
  seeds: Collection[int] | None = None,
) -> None:
  """Writes the report of the results so far.

  Args:
    runs: those that are planned, beside the ones that have results.
    names: of the variants to report, with their baselines; None: all.
    seeds: to report; None: all.
  """
  shown = [v for v in study.variants if names is None or v.name in names]
  shown += [v for v in study.variants if v not in shown and v.name in map(study.baseline_of, shown)]
  shown.sort(key=study.variants.index)
  results = read_results(workdir)
  write_results_file(study.name, results, workdir / "results.json")
  known = {variant.name for variant in shown}
  results = [r for r in results if r.variant in known and (seeds is None or r.seed in seeds)]
  planned = {(r.variant, r.seed) for r in results} | {(run.variant.name, run.seed) for run in runs}
  infos = [VariantInfo(v.name, v.title or v.name, study.baseline_of(v)) for v in shown]
  tables = [_classes(study.config(variant, study.seeds[0])) for variant in shown]
  thin = frozenset(row.name for table in tables for row in table.classes if row.thin)
  write_report(study.name, study.title or study.name, infos, results, len(planned), workdir, thin)
  print(f"{len(results)} of {len(planned)} runs done; report: {workdir / 'report.md'}, .csv, .tex, .png")


def _classes(config) -> ClassTable:
  return dataset(config.data.name).table_of(**config.data.options)


def _parser() -> argparse.ArgumentParser:
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser("python -m train.study", description=__doc__, formatter_class=raw)
  parser.add_argument("--study", required=True, metavar="FILE.py[:key=value,...]", help="of configs/studies/")
  parser.add_argument("--workdir", required=True, type=pathlib.Path, metavar="DIR", help="of the study")
  parser.add_argument("--seeds", metavar="0-4,7", help="in place of the study's own")
  parser.add_argument("--only", nargs="+", metavar="VARIANT", help="these variants")
  help = (
    "take over the results of this study's other folders, or of their results.json, such as another machine's"
  )
  parser.add_argument("--merge", nargs="+", default=(), type=pathlib.Path, metavar="DIR", help=help)
  help = "train run I alone, counted from 0 as --list does: for the arrays of a cluster's scheduler"
  parser.add_argument("--index", type=int, metavar="I", help=help)
  modes = parser.add_mutually_exclusive_group()
  for mode, help in (
    ("list", "show the runs, and which are done"),
    ("dry-run", "build every variant, and say what a training would miss; trains and writes nothing"),
    ("report", "write the report of the runs that are done; trains nothing"),
  ):
    modes.add_argument(f"--{mode}", dest="mode", action="store_const", const=mode, help=help)
  parser.set_defaults(mode="train")
  return parser


if __name__ == "__main__":
  main()

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
import sys
from collections.abc import Sequence

from train.distributed.initialize import set_deterministic
from train.studies.definition import Study, choose, load_study, parse_seeds
from train.studies.exchange import merge_results
from train.studies.folder import check_folder, open_folder
from train.studies.preview import print_plan, print_runs
from train.studies.publish import publish
from train.studies.runner import train_runs
from train.studies.runs import Run, plan_runs
from train.utils.errors import report_errors


def main(command: list[str] | None = None) -> None:
  arguments = parse(command)
  logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
  logging.getLogger("train").setLevel(logging.INFO)
  with report_errors():
    run_study(**arguments)


def run_study(
  study: str,
  workdir: pathlib.Path,
  seeds: str | None = None,
  only: Sequence[str] | None = None,
  merge: Sequence[pathlib.Path] = (),
  index: int | None = None,
  out: pathlib.Path | None = None,
  mode: str = "train",
) -> None:
  """What the command does; `mode` is "train", "list", "dry-run" or "report".

  Raises:
    FileNotFoundError, ImportError, ValueError, OSError: what is wrong with the study or its folder.
    SystemExit: runs that could not be trained; the others were, and are reported.
  """
  described = load_study(study)
  variants = choose(described, only)
  chosen = parse_seeds(seeds) if seeds else list(described.seeds)
  runs = plan_runs(workdir, variants, chosen)
  if mode == "dry-run":
    print_plan(described, variants, runs)
    return
  if index is not None and not 0 <= index < len(runs):
    raise ValueError(f"--index: expected 0 to {len(runs) - 1}, got {index}")
  check_folder(workdir, described, runs)
  if mode == "list":
    print_runs(runs)
    return
  open_folder(workdir, described, runs)
  if merge:
    print(f"{merge_results(merge, described, workdir)} results taken over")
  if mode == "train":
    _train(described, runs if index is None else [runs[index]], workdir)
  else:
    selection = (variants if only else None, chosen if seeds else None)
    publish(described, workdir, out or workdir, *selection)


def _train(study: Study, runs: Sequence[Run], workdir: pathlib.Path) -> None:
  """Trains the runs and writes the report of all that there are."""
  for variant in {run.variant.name: run.variant for run in runs}.values():
    config = study.config(variant, study.seeds[0])
    if config.cluster not in ("auto", "single"):
      raise ValueError(
        f"cluster: expected 'auto', as a study's processes train alone, got {config.cluster!r}"
      )
    if config.deterministic:
      set_deterministic()
  outcome = train_runs(study, runs)
  if len(runs) == 1 and not runs[0].done and not outcome.failed and not outcome.interrupted:
    raise ValueError(f"run {runs[0]} is being trained by another process")
  publish(study, workdir, workdir)
  if outcome.interrupted:
    print("interrupted: the same command goes on from there")
  if outcome.failed:
    problems = "\n".join(f"  {run}: {problem}" for run, problem in outcome.failed.items())
    sys.exit(f"error: {len(outcome.failed)} runs could not be trained:\n{problems}")


def parse(command: list[str] | None = None) -> dict:
  """The arguments of `run_study`.

  Args:
    command: the words after the program's name; None: those that it was called with.
  """
  parser = _parser()
  arguments = vars(parser.parse_args(command))
  if arguments["merge"] and arguments["mode"] == "train":
    arguments["mode"] = "report"
  for name, mode in (("merge", "report"), ("out", "report"), ("index", "train")):
    if arguments[name] not in (None, ()) and arguments["mode"] != mode:
      where = "with --report alone" if mode == "report" else f"not with --{arguments['mode']}"
      parser.error(f"--{name} goes {where}")
  return arguments


def _parser() -> argparse.ArgumentParser:
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser("python -m train.study", description=__doc__, formatter_class=raw)
  parser.add_argument("--study", required=True, metavar="FILE.py[:key=value,...]", help="of configs/studies/")
  parser.add_argument("--workdir", required=True, type=pathlib.Path, metavar="DIR", help="of the study")
  parser.add_argument("--seeds", metavar="0-4,7", help="in place of the study's own")
  parser.add_argument("--only", nargs="+", metavar="VARIANT", help="these variants")
  help = "take over the results of other folders of this study, or of their results.json; trains nothing"
  parser.add_argument("--merge", nargs="+", default=(), type=pathlib.Path, metavar="DIR", help=help)
  help = "train run I alone, counted from 0 as --list does: for the arrays of a cluster's scheduler"
  parser.add_argument("--index", type=int, metavar="I", help=help)
  parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="of the report (default: the study's)")
  modes = parser.add_mutually_exclusive_group()
  for mode, help in (
    ("list", "show the runs, and which are done"),
    ("dry-run", "build every variant, and say which data and weights are missing; trains and writes nothing"),
    ("report", "write the report of the runs that are done, of --seeds and --only; trains nothing"),
  ):
    modes.add_argument(f"--{mode}", dest="mode", action="store_const", const=mode, help=help)
  parser.set_defaults(mode="train")
  return parser


if __name__ == "__main__":
  main()

"""Trains the variants of a study with several seeds and compares them.

python -m train.study --study=configs/studies/NAME.py[:key=value,...] --workdir=DIR [--seeds 0-9]

The command skips finished runs and resumes interrupted ones. Several processes may run the same command on
one folder: each trains the next run that no other process is training. Runs are ordinary workdirs,
DIR/runs/VARIANT/seed-N. The report is DIR/report.md, .csv, .tex and .png.
"""

from __future__ import annotations

import argparse
import logging
import pathlib
import sys
from collections.abc import Sequence

from ppool_jax.utils.arguments import parse_path
from train.distributed.initialize import set_deterministic
from train.studies.definition import Study
from train.studies.folder import check_folder, open_folder
from train.studies.loading import load_study, parse_seeds, select_variants
from train.studies.preview import print_plan, print_runs
from train.studies.publish import publish
from train.studies.results_file import merge_results
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
  """Runs the command; `parse` describes the arguments.

  Args:
    mode: "train", "list", "dry-run" or "report".

  Raises:
    FileNotFoundError, ImportError, ValueError, OSError: the study or its folder is invalid.
    SystemExit: some runs could not be trained; the others are done and reported.
  """
  definition = load_study(study)
  variants = select_variants(definition, only)
  seed_list = parse_seeds(seeds) if seeds else list(definition.seeds)
  runs = plan_runs(workdir, variants, seed_list)
  if mode == "dry-run":
    print_plan(definition, variants, runs)
    return
  if index is not None and not 0 <= index < len(runs):
    raise ValueError(f"--index: expected 0 to {len(runs) - 1}, got {index}")
  check_folder(workdir, definition, runs)
  if mode == "list":
    print_runs(runs)
    return
  open_folder(workdir, definition, runs)
  if merge:
    print(f"{merge_results(merge, definition, workdir)} results merged")
  if mode == "train":
    _train(definition, runs if index is None else [runs[index]], workdir)
  else:
    selection = (variants if only else None, seed_list if seeds else None)
    publish(definition, workdir, out or workdir, *selection)


def _train(study: Study, runs: Sequence[Run], workdir: pathlib.Path) -> None:
  """Trains the runs and writes the report of all finished runs."""
  for variant in {run.variant.name: run.variant for run in runs}.values():
    config = study.resolve_config(variant, study.seeds[0])
    if config.cluster not in ("auto", "single"):
      raise ValueError(
        "cluster: expected 'auto' or 'single', because each process of a study trains alone, "
        f"got {config.cluster!r}"
      )
    if config.deterministic:
      set_deterministic()
  outcome = train_runs(study, runs)
  if len(runs) == 1 and not runs[0].done and not outcome.failed and not outcome.interrupted:
    raise ValueError(f"run {runs[0]} is being trained by another process")
  publish(study, workdir, workdir)
  if outcome.interrupted:
    print("interrupted: the same command resumes the study")
  if outcome.failed:
    problems = "\n".join(f"  {run}: {problem}" for run, problem in outcome.failed.items())
    sys.exit(f"error: {len(outcome.failed)} runs could not be trained:\n{problems}")


def parse(command: list[str] | None = None) -> dict:
  """Parses the command line into the arguments of `run_study`.

  Args:
    command: the words after the program's name; None: those of this process.
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
  parser.add_argument(
    "--study",
    required=True,
    metavar="FILE.py[:key=value,...]",
    help="a study file, such as those in configs/studies/",
  )
  parser.add_argument("--workdir", required=True, type=parse_path, metavar="DIR", help="folder of the study")
  parser.add_argument("--seeds", metavar="0-4,7", help="seeds to train (default: the study's)")
  parser.add_argument("--only", nargs="+", metavar="VARIANT", help="variants to train (default: all)")
  help = "copy the results from other folders of this study, or from their results.json; trains nothing"
  parser.add_argument("--merge", nargs="+", default=(), type=parse_path, metavar="DIR", help=help)
  help = "train only run I, the index in --list, for job arrays of a cluster"
  parser.add_argument("--index", type=int, metavar="I", help=help)
  parser.add_argument(
    "--out", type=parse_path, metavar="DIR", help="folder of the report (default: the study's)"
  )
  modes = parser.add_mutually_exclusive_group()
  for mode, help in (
    ("list", "list the runs and their status"),
    ("dry-run", "build every variant and list missing data and weights; trains and writes nothing"),
    ("report", "write the report of the finished runs, for --seeds and --only if given; trains nothing"),
  ):
    modes.add_argument(f"--{mode}", dest="mode", action="store_const", const=mode, help=help)
  parser.set_defaults(mode="train")
  return parser


if __name__ == "__main__":
  main()

"""Compares two runs: predictions side by side (the paper's Figure 4) and the gain of each class (Figure 5).

python -m train.compare BASELINE OTHER --out DIR [--split val] [--count 4 | --images ID ...] [--zoom]
"""

from __future__ import annotations

import argparse

from ppool_jax.utils.arguments import parse_path
from train.comparison.compare import compare
from train.utils.errors import report_errors


def main() -> None:
  arguments = parse()
  with report_errors():
    compare(**arguments)


def parse(command: list[str] | None = None) -> dict:
  """Parses the command line into the arguments of `compare`.

  Args:
    command: the words after the program's name; None: those of this process.
  """
  parser = _build_parser()
  arguments = vars(parser.parse_args(command))
  if arguments["count"] < 0:
    parser.error(f"--count: expected 0 or more, got {arguments['count']}")
  if len(arguments["step"]) > 2:
    parser.error(f"--step: expected one of both or one of each, got {len(arguments['step'])}")
  return arguments


def _build_parser() -> argparse.ArgumentParser:
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser("python -m train.compare", description=__doc__, formatter_class=raw)
  parser.add_argument("baseline", type=parse_path, help="workdir of the baseline run")
  parser.add_argument("other", type=parse_path, help="workdir of the run whose gain is shown")
  parser.add_argument("--out", required=True, type=parse_path, metavar="DIR", help="folder for the figures")
  parser.add_argument("--split", help="of the data set (default: the configs')")
  which = parser.add_mutually_exclusive_group()
  count = "show the N images that gain most (default: 4)"
  which.add_argument("--count", type=int, default=4, metavar="N", help=count)
  which.add_argument("--images", nargs="+", metavar="ID", help="show the images with these ids")
  steps = "checkpoint of both runs, or one of each (default: the newest)"
  parser.add_argument("--step", type=int, nargs="+", default=[None], metavar="S", help=steps)
  parser.add_argument("--names", nargs=2, metavar="NAME", help="of both runs (default: their poolings)")
  parser.add_argument("--zoom", action="store_true", help="also show the boxes enlarged")
  return parser


if __name__ == "__main__":
  main()

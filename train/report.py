"""python -m train.report --out FILE.html WORKDIR...: runs side by side, in one self-contained page."""

from __future__ import annotations

import argparse

from ppool_jax.utils.arguments import parse_path
from train.reporting.report import write_report
from train.utils.errors import report_errors


def main() -> None:
  parser = argparse.ArgumentParser(prog="python -m train.report", description=__doc__)
  parser.add_argument("workdirs", nargs="+", type=parse_path, help="finished runs on one data set")
  parser.add_argument("--out", required=True, type=parse_path, help="the HTML file")
  parser.add_argument("--examples", type=int, default=6, help="images of the evaluation split to show")
  pictures = "folder for curves.png and predictions.png (default: only the page)"
  parser.add_argument("--pictures", type=parse_path, help=pictures)
  arguments = parser.parse_args()
  with report_errors():
    write_report(**vars(arguments))


if __name__ == "__main__":
  main()

"""python -m train.report --out FILE.html WORKDIR...: runs side by side, in one self-contained page."""

from __future__ import annotations

import argparse
import pathlib

from train.reporting.report import write_report
from train.utils.errors import report_errors


def main() -> None:
  parser = argparse.ArgumentParser(prog="python -m train.report", description=__doc__)
  parser.add_argument("workdirs", nargs="+", type=pathlib.Path, help="finished runs on one data set")
  parser.add_argument("--out", required=True, type=pathlib.Path, help="the HTML file")
  parser.add_argument("--examples", type=int, default=6, help="images of the evaluation split to show")
  pictures = "folder for curves.png and predictions.png (default: only the page)"
  parser.add_argument("--pictures", type=pathlib.Path, help=pictures)
  arguments = parser.parse_args()
  with report_errors():
    write_report(**vars(arguments))


if __name__ == "__main__":
  main()

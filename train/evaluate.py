"""Evaluates a run, or label maps of another program: mIoU and further metrics of a whole data set.

python -m train.evaluate --workdir DIR [--boundary 0.02] [--scales 0.75 1 1.25 --flip] [--pictures 8]
python -m train.evaluate --predictions FOLDER_OR_ARCHIVE --data voc [--split val] [--ids raw]
"""

from __future__ import annotations

import logging

from train.evaluation.entry_points import evaluate_label_maps, evaluate_workdir
from train.evaluation.options import parse
from train.utils.errors import report_errors


def main() -> None:
  arguments = parse(__doc__ or "")
  logging.basicConfig(format="%(message)s", level=logging.WARNING)
  logging.getLogger("train").setLevel(logging.INFO)
  with report_errors():
    if "workdir" in arguments:
      evaluate_workdir(**arguments)
    else:
      evaluate_label_maps(**arguments)


if __name__ == "__main__":
  main()

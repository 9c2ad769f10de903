"""Table 2: compares published pools with P-pooling in three systems, IoU by class on PASCAL VOC val.

  python -m train.study --study=configs/studies/table2.py:weights_deeplab=FILE,... --workdir=DIR

Arguments: see configs.studies._systems.ARGUMENTS.
"""

from __future__ import annotations

from configs.studies._systems import ARGUMENTS, system_study
from train.studies.definition import Study
from train.utils.config import parse_arg


def get_study(arg: str | None = None) -> Study:
  """Returns the study; the module's docstring describes the arguments."""
  title = "Table 2: three systems on PASCAL VOC, by class"
  return system_study("table2", "voc", title, parse_arg(arg, **ARGUMENTS))

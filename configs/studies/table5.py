"""Table 5: compares published pools with P-pooling in three systems, mIoU and pixel accuracy on ADE20K.

  python -m train.study --study=configs/studies/table5.py:weights_deeplab=FILE,... --workdir=DIR

Arguments: see configs.studies._systems.ARGUMENTS.
"""

from __future__ import annotations

from configs.studies._systems import ARGUMENTS, system_study
from train.studies.definition import Study
from train.utils.config import parse_arg


def get_study(arg: str | None = None) -> Study:
  """Returns the study; the module's docstring describes the arguments."""
  return system_study("table5", "ade20k", "Table 5: three systems on ADE20K", parse_arg(arg, **ARGUMENTS))

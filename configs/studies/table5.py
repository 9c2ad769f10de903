"""Table 5: mIoU and pixel accuracy on ADE20K of three systems, published poolings against P-pooling.

  python -m train.study --study=configs/studies/table5.py:weights_deeplab=FILE,... --workdir=DIR

Arguments: those of configs.studies._systems.ARGUMENTS.
"""

from __future__ import annotations

from configs.studies._systems import ARGUMENTS, system_study
from train.studies.definition import Study
from train.utils.config import parse_arg


def get_study(arg: str | None = None) -> Study:
  """See the module's docstring for the arguments."""
  return system_study("table5", "ade20k", "Table 5: three systems on ADE20K", parse_arg(arg, **ARGUMENTS))

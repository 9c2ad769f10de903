"""Table 2: IoU by class on PASCAL VOC val of three systems, published poolings against P-pooling.

  python -m train.study --study=configs/studies/table2.py:weights_deeplab=FILE,... --workdir=DIR

Arguments: those of configs.studies._systems.ARGUMENTS.
"""

from __future__ import annotations

from configs.studies._systems import ARGUMENTS, system_study
from train.studies.definition import Study
from train.utils.config import parse_arg


def get_study(arg: str | None = None) -> Study:
  """See the module's docstring for the arguments."""
  title = "Table 2: three systems on PASCAL VOC, by class"
  return system_study("table2", "voc", title, parse_arg(arg, **ARGUMENTS))

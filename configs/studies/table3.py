"""Table 3: evaluates the runs of Table 2 by class on PASCAL VOC test.

  python -m train.study --study=configs/studies/table3.py:weights_deeplab=FILE,... --workdir=DIR
  python -m train.predict --workdir DIR/runs/deeplab-ppool/seed-0 --submission voc --split test --out OUT

The study is the same as that of Table 2 and may share its folder. Only the benchmark's server has the labels
of test: the second command writes the submission of one run.

Arguments: see configs.studies._systems.ARGUMENTS.
"""

from __future__ import annotations

from configs.studies.table2 import get_study

__all__ = ["get_study"]

"""Table 3: IoU by class on PASCAL VOC test, of the trainings of Table 2.

  python -m train.study --study=configs/studies/table3.py:weights_deeplab=FILE,... --workdir=DIR
  python -m train.predict --workdir DIR/runs/deeplab-ppool/seed-0 --submission voc --split test --out OUT

The study is that of Table 2, and may share its folder: the labels of test are on the benchmark's server,
which takes what the second command packs, once for each run. Arguments: those of `_systems.ARGUMENTS`.
"""

from __future__ import annotations

from configs.studies.table2 import get_study

__all__ = ["get_study"]

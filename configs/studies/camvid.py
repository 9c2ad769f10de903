"""Compares max, average and P-pooling with three alpha sources in VGG-16 on CamVid at half size.

  python -m train.prepare camvid --source CAMVID_FOLDER
  python -m train.study --study=configs/studies/camvid.py:weights=VGG16_FILE --workdir=runs/studies/camvid

Arguments:
  weights, dir, size, runlocal: see configs/camvid_vgg16.py; the default of size is "half".

Each run takes 10 to 20 minutes on two CPU cores.
"""

from __future__ import annotations

from configs import camvid_vgg16
from train.studies.definition import Study, Variant
from train.utils.config import parse_arg

VARIANTS = {
  "max": ("pool=max", "max pooling"),
  "avg": ("pool=avg", "average pooling"),
  "ppool-side_branch": ("pool=ppool,alpha=side_branch", "P-pooling (the paper's branch)"),
  "ppool-authors": ("pool=ppool,alpha=authors", "P-pooling (the authors' last code)"),
  "ppool-log_side_branch": ("pool=ppool,alpha=log_side_branch", "P-pooling (branch predicts log alpha)"),
}
OVERRIDES = {"eval.every": 0, "checkpoint.seconds": 120.0, "checkpoint.max_to_keep": 1}


def get_study(arg: str | None = None) -> Study:
  """Returns the study; the module's docstring describes the arguments."""
  args = parse_arg(arg, weights="", dir="data", size="half", runlocal=False)
  common = f"size={args.size},weights={args.weights},dir={args.dir}" + (",runlocal" if args.runlocal else "")
  variants = [
    Variant(name, camvid_vgg16.get_config(f"{pooling},{common}"), OVERRIDES, title=title)
    for name, (pooling, title) in VARIANTS.items()
  ]
  return Study("camvid", variants, "max", range(5), "Poolings in VGG-16 on CamVid")

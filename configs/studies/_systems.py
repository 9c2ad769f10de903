"""Builds the studies of the paper's three systems (Tables 2 to 5), with published pools and P-pooling."""

from __future__ import annotations

import ml_collections

from configs import paper
from train.studies.definition import Study, Variant

SYSTEMS = {
  "deeplab": ("vgg16_largefov", "DeepLab-LargeFOV"),
  "fcn8s": ("inceptionv2_fcn8s", "FCN-8s, BN-Inception"),
  "deeplabv3": ("xception_deeplabv3", "DeepLabV3, Xception"),
}

ARGUMENTS = {
  "alpha": "side_branch",
  "recipe": "paper",
  "weights_deeplab": "",
  "weights_fcn8s": "",
  "weights_deeplabv3": "",
  "dir": "data",
  "runlocal": False,
}
"""The arguments of the studies: those of configs/paper.py, and a weights file for each system."""


def system_study(name: str, data: str, title: str, args: ml_collections.ConfigDict) -> Study:
  """Builds a study with each system's published pools and with P-pooling, and five seeds.

  Args:
    name: name of the study.
    data: a data set of configs/paper.py.
    title: title of the study.
    args: parsed arguments with the keys of `ARGUMENTS`.
  """
  variants = []
  for system, (network, label) in SYSTEMS.items():
    common = (
      f"data={data},network={network},recipe={args.recipe},weights={args[f'weights_{system}']},dir={args.dir}"
    )
    common += ",runlocal" if args.runlocal else ""
    baseline = f"{system}-published"
    published = paper.get_config(f"{common},pool=published")
    variants.append(Variant(baseline, published, baseline=baseline, title=f"{label}, published poolings"))
    config = paper.get_config(f"{common},pool=ppool,alpha={args.alpha}")
    variants.append(Variant(f"{system}-ppool", config, baseline=baseline, title=f"{label}, P-pooling"))
  return Study(name, variants, variants[0].name, range(5), title)

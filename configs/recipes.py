"""Training recipes of each network: the paper's settings and modern settings.

Where the paper refers to the networks' own papers, the recipes use the settings of those: DeepLab (Chen et
al., 2018, table 1), FCN trained at once (Long et al., 2015), DeepLabV3 (Chen et al., 2017). Batch sizes are
global.
"""

from __future__ import annotations

import ml_collections

from configs.common import parameter_groups

RECIPES = ("paper", "modern")


def apply_recipe(config: ml_collections.ConfigDict, recipe: str, network: str, alpha: str) -> None:
  """Sets the schedule, optimizer, loss, augmentation and batch size of `config`.

  Args:
    config: the config to change.
    recipe: "paper" or "modern".
    network: a name of `ppool_jax.models.NETWORKS`.
    alpha: name of P-pooling's alpha source.

  Raises:
    ValueError: the recipe is unknown, or there is no recipe for the network.
  """
  if recipe not in RECIPES:
    raise ValueError(f"config argument recipe: expected one of {', '.join(RECIPES)}, got {recipe!r}")
  if network not in _PAPER:
    raise ValueError(f"config argument network: expected one of {', '.join(_PAPER)}, got {network!r}")
  settings = _PAPER[network] if recipe == "paper" else {**_MODERN, **_MODERN_WITHOUT_NORM.get(network, {})}
  config.update_from_flattened_dict(settings)
  config.model.name = network
  config.optimizer.groups = parameter_groups(alpha, config.model.norm)
  if recipe == "paper":
    for group in config.optimizer.groups.values():
      group.optimizer = "caffe_sgd" if group.optimizer == "sgd" else group.optimizer


# Section 4.1 of the paper. The learning rate is for a loss summed over an image's pixels. The paper does not
# give the factor of the step, the batch size and the crop. The factor is Caffe's usual 0.1; batch size and
# crop are those of the authors' code.
_TABLE_1 = {
  "steps": 10_000,
  "batch_size": 20,
  "loss.normalize": "image",
  "schedule.kind": "step",
  "schedule.learning_rate": 2e-7,
  "schedule.boundaries": (6000,),
  "schedule.factor": 0.1,
  "optimizer.momentum": 0.9,
  "optimizer.weight_decay": 5e-4,
  "data.crop": (321, 321),
  "data.scale": (1.0, 1.0),
  "data.photometric": 0.0,
}
_PAPER = {
  "vgg16": _TABLE_1,
  "resnet50": _TABLE_1,
  # 20,000 steps with batch size 10: 65.88 mIoU on VOC val without CRF, the best row of its table.
  "vgg16_largefov": {
    **_TABLE_1,
    "steps": 20_000,
    "batch_size": 10,
    "loss.normalize": "pixel",
    "schedule.kind": "poly",
    "schedule.learning_rate": 1e-3,
    "schedule.power": 0.9,
  },
  # Single whole images and a constant rate for the loss summed over pixels. Batch norm is frozen at the
  # statistics of the weights file, because the statistics of a single image would differ between training
  # and evaluation.
  "inceptionv2_fcn8s": {
    **_TABLE_1,
    "steps": 300_000,
    "batch_size": 1,
    "model.norm": "frozen",
    "schedule.kind": "constant",
    "schedule.learning_rate": 1e-10,
    "optimizer.momentum": 0.99,
    "data.crop": (512, 512),
  },
  "xception_deeplabv3": {
    **_TABLE_1,
    "steps": 30_000,
    "batch_size": 16,
    "loss.normalize": "pixel",
    "schedule.kind": "poly",
    "schedule.learning_rate": 7e-3,
    "schedule.power": 0.9,
    "optimizer.weight_decay": 4e-5,
    "data.crop": (513, 513),
    "data.scale": (0.5, 2.0),
  },
}
# Settings that current toolboxes (mmsegmentation, torchvision) have in common.
_MODERN = {
  "steps": 40_000,
  "batch_size": 16,
  "loss.normalize": "pixel",
  "schedule.kind": "poly",
  "schedule.learning_rate": 1e-2,
  "schedule.power": 0.9,
  "schedule.warmup": 500,
  "optimizer.momentum": 0.9,
  "optimizer.weight_decay": 5e-4,
  "optimizer.clip_norm": 10.0,
  "data.scale": (0.5, 2.0),
  "data.photometric": 1.0,
}
# Networks without batch norm diverge at a rate of 0.01.
_MODERN_WITHOUT_NORM = {name: {"schedule.learning_rate": 1e-3} for name in ("vgg16", "vgg16_largefov")}

"""Trains any of the paper's five networks with any pooling on PASCAL VOC, Cityscapes or ADE20K.

  python -m train.prepare voc --source FOLDER
  python -m train --config=configs/paper.py:data=voc,network=vgg16,pool=ppool,weights=FILE --workdir=runs/voc

Arguments:
  data: voc (trainaug, 10,582 images; evaluated on val), cityscapes or ade20k.
  network: vgg16, resnet50, vgg16_largefov, inceptionv2_fcn8s, xception_deeplabv3.
  pool, alpha, pool_stages, pool_rest: see configs.common.set_pooling. The default pool is "published", the
    network's own pools, which is the baseline in the paper's tables.
  recipe: "paper" (the settings of the P-pooling paper or of the network's own paper) or "modern" (poly
    schedule, loss per pixel, scales 0.5 to 2); see configs/recipes.py. Batch sizes are global.
  seed: seed of the head, data order and augmentation.
  weights: a weights file for ppool_jax.weights of the backbone; empty: train from scratch.
  dir: the folder in which python -m train.prepare stored the data.
  runlocal: train a few steps on small crops, to test the whole pipeline.

None of these trainings has been run in this project: they need accelerators and the full data sets.
"""

from __future__ import annotations

import ml_collections

from configs import recipes
from configs.common import POOLING_ARGS, default_config, set_pooling
from train.utils.config import parse_arg

# Settings of a recipe that depend on the data set. The paper gives no crop size for Cityscapes; the crop here
# has half the sides of an image.
DATA = {
  "voc": {"paper": {"data.split": "trainaug"}, "modern": {"data.split": "trainaug", "data.crop": (512, 512)}},
  "cityscapes": {"paper": {"data.crop": (512, 1024)}, "modern": {"data.crop": (512, 1024), "batch_size": 8}},
  "ade20k": {"paper": {}, "modern": {"data.crop": (512, 512), "steps": 80_000}},
}


def get_config(arg: str | None = None) -> ml_collections.ConfigDict:
  """Returns the config; the module's docstring describes the arguments."""
  args = parse_arg(
    arg, **{**POOLING_ARGS, "pool": "published"}, data="voc", network="vgg16", recipe="paper", seed=0,
    weights="", dir="data", runlocal=False,
  )  # fmt: skip
  if args.data not in DATA:
    raise ValueError(f"config argument data: expected one of {', '.join(DATA)}, got {args.data!r}")
  config = default_config()
  config.seed = args.seed
  alpha = set_pooling(config, args)
  config.model.weights = args.weights
  config.data.name = args.data
  config.data.options = ml_collections.ConfigDict({"dir": args.dir})
  recipes.apply_recipe(config, args.recipe, args.network, alpha)
  config.update_from_flattened_dict(DATA[args.data][args.recipe])
  if args.runlocal:
    config.steps, config.batch_size, config.data.crop = 4, 8, (64, 96)
  return config

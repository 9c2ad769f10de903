"""The paper's tables: PASCAL VOC, Cityscapes or ADE20K with any of its five networks and any pooling.

  python -m train.prepare voc --source FOLDER
  python -m train --config=configs/paper.py:data=voc,network=vgg16,pool=ppool,weights=FILE --workdir=runs/voc

Arguments:
  data: voc (trainaug, 10,582 images; evaluated on val), cityscapes or ade20k.
  network: vgg16, resnet50, vgg16_largefov, inceptionv2_fcn8s, xception_deeplabv3.
  pool, alpha, pool_stages, pool_rest: of configs.common.set_pooling. The default pool is the
    baseline of the paper's tables: "published", the network's own poolings.
  recipe: "paper", as the P-pooling paper or the network's own trains it, or "modern" (poly, loss per
    pixel, scales 0.5 to 2): configs/recipes.py. Batches are global.
  seed: of the head, order and augmentation.
  weights: a file for ppool_jax.weights of the network's backbone; none: from scratch.
  dir: where python -m train.prepare put the data.
  runlocal: a few steps on small crops, to see everything run.

None of these trainings has been run here: they need accelerators and the full data sets.
"""

from __future__ import annotations

import ml_collections

from configs import recipes
from configs.common import POOLING, base, set_pooling
from train.utils.config import parse_arg

# What a recipe has to know of a data set. The paper names no crop for Cityscapes: half an image's sides.
DATA = {
  "voc": {"paper": {"data.split": "trainaug"}, "modern": {"data.split": "trainaug", "data.crop": (512, 512)}},
  "cityscapes": {"paper": {"data.crop": (512, 1024)}, "modern": {"data.crop": (512, 1024), "batch_size": 8}},
  "ade20k": {"paper": {}, "modern": {"data.crop": (512, 512), "steps": 80_000}},
}


def get_config(arg: str | None = None) -> ml_collections.ConfigDict:
  """See the module's docstring for the arguments."""
  args = parse_arg(
    arg, **{**POOLING, "pool": "published"}, data="voc", network="vgg16", recipe="paper", seed=0,
    weights="", dir="data", runlocal=False,
  )  # fmt: skip
  if args.data not in DATA:
    raise ValueError(f"config argument data: expected one of {', '.join(DATA)}, got {args.data!r}")
  config = base()
  config.seed = args.seed
  alpha = set_pooling(config, args)
  config.model.weights = args.weights
  config.data.name = args.data
  config.data.options = ml_collections.ConfigDict({"dir": args.dir})
  recipes.apply(config, args.recipe, args.network, alpha)
  config.update_from_flattened_dict(DATA[args.data][args.recipe])
  if args.runlocal:
    config.steps, config.batch_size, config.data.crop = 4, 8, (64, 96)
  return config

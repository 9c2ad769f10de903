"""VGG-16 from ImageNet weights, fine-tuned on CamVid.

  python -m train.prepare camvid --source CAMVID_FOLDER
  python -m train --config=configs/camvid_vgg16.py:pool=ppool,weights=VGG16_FILE --workdir=runs/camvid/ppool

Arguments:
  pool, alpha, pool_stages, pool_rest: of configs.common.set_pooling; Table 6 is `pool_stages=pool1`,
    `pool_stages=pool2`, ...
  size: "full", crops 480x360, or "half", crops 240x180 of images scaled 0.5 to 1, for two CPU cores.
  seed: of the head, order and augmentation.
  weights: a file for ppool_jax.weights.load; none: from scratch.
  dir: where python -m train.prepare put the data.
  runlocal: a few steps on small crops, to see everything run.

With size=half on two CPU cores, seed 0, mIoU on val: max 53.3, ppool with alpha=log_side_branch 52.2
(about 20 minutes each; docs/RESULTS.md). size=full has not been run.
"""

from __future__ import annotations

import ml_collections

from configs.common import POOLING, base, parameter_groups, set_pooling
from train.utils.config import parse_arg


def get_config(arg: str | None = None) -> ml_collections.ConfigDict:
  """See the module's docstring for the arguments."""
  args = parse_arg(arg, **POOLING, size="full", seed=0, weights="", dir="data", runlocal=False)
  config = base()
  config.seed = args.seed
  alpha = set_pooling(config, args)
  config.model.name = "vgg16"
  config.model.weights = args.weights

  config.data.name = "camvid"
  config.data.options = ml_collections.ConfigDict({"dir": args.dir})
  if args.size not in SIZES:
    raise ValueError(f"config argument size: expected one of {', '.join(SIZES)}, got {args.size!r}")
  config.update_from_flattened_dict(SIZES[args.size])

  config.schedule.learning_rate = 1e-3
  config.schedule.warmup = 50
  config.optimizer.clip_norm = 10.0
  config.optimizer.groups = parameter_groups(alpha)
  if args.runlocal:
    config.steps = 4
    config.batch_size = 8
    config.data.crop = (64, 96)
  return config


SIZES = {
  "full": {"data.crop": (360, 480), "data.scale": (0.5, 2.0), "batch_size": 8, "steps": 6000},
  # What two CPU cores can do in a quarter of an hour.
  "half": {"data.crop": (180, 240), "data.scale": (0.5, 1.0), "batch_size": 2, "steps": 600},
}

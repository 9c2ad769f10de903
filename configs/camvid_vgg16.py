"""Fine-tunes VGG-16 from ImageNet weights on CamVid.

  python -m train.prepare camvid --source CAMVID_FOLDER
  python -m train --config=configs/camvid_vgg16.py:pool=ppool,weights=VGG16_FILE --workdir=runs/camvid/ppool

Arguments:
  pool, alpha, pool_stages, pool_rest: see configs.common.set_pooling. `pool_stages=pool1`,
    `pool_stages=pool2` and so on are the experiments of Table 6.
  size: "full": crops of 480x360; "half": crops of 240x180 from images scaled by 0.5 to 1, for two CPU cores.
  seed: seed of the head, data order and augmentation.
  weights: a weights file for ppool_jax.weights.load; empty: train from scratch.
  dir: the folder in which python -m train.prepare stored the data.
  runlocal: train a few steps on small crops, to test the whole pipeline.

Results with size=half and seed 0 on two CPU cores, mIoU on val: max 53.3, ppool with alpha=log_side_branch
52.2, in about 20 minutes per run (docs/RESULTS.md). size=full has not been run.
"""

from __future__ import annotations

import ml_collections

from configs.common import POOLING_ARGS, default_config, parameter_groups, set_pooling
from train.utils.config import parse_arg


def get_config(arg: str | None = None) -> ml_collections.ConfigDict:
  """Returns the config; the module's docstring describes the arguments."""
  args = parse_arg(arg, **POOLING_ARGS, size="full", seed=0, weights="", dir="data", runlocal=False)
  config = default_config()
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
  "half": {"data.crop": (180, 240), "data.scale": (0.5, 1.0), "batch_size": 2, "steps": 600},
}

"""VGG-16 from ImageNet weights, fine-tuned on CamVid.

  python -m train.prepare camvid --source CAMVID_FOLDER
  python -m train --config=configs/camvid_vgg16.py:pool=ppool,weights=VGG16_FILE --workdir=runs/camvid/ppool

Arguments:
  pool: a name of ppool_jax.POOLS.
  alpha: of P-pooling, a name of ppool_jax.ALPHAS: side_branch (the paper's, default), log_side_branch,
    channel, layer.
  stages: the pools that take it, "pool1+pool3", max pooling elsewhere; none: all five (Table 6).
  size: "full", crops 480x360, or "half", crops 240x180 of images scaled 0.5 to 1, for two CPU cores.
  seed: of the head, order and augmentation.
  weights: a file for ppool_jax.weights.load; none: from scratch.
  runlocal: a few steps on small crops, to see everything run.

With size=half on two CPU cores, seed 0, mIoU on val: max 53.3, ppool with alpha=log_side_branch 52.2
(about 20 minutes each; docs/RESULTS.md). size=full has not been run.
"""

from __future__ import annotations

import ml_collections

from configs.common import base, parameter_groups
from train.config import parse_arg


def get_config(arg: str | None = None) -> ml_collections.ConfigDict:
  """See the module's docstring for the arguments."""
  arg = parse_arg(
    arg, pool="max", alpha="side_branch", stages=(), size="full", seed=0, weights="", runlocal=False
  )
  config = base()
  config.seed = arg.seed
  config.pool = arg.pool
  config.stages = arg.stages
  if arg.pool == "ppool":
    config.pool_kwargs.alpha = arg.alpha
  config.model.name = "vgg16"
  config.model.weights = arg.weights

  config.data.name = "camvid"
  config.data.options = ml_collections.ConfigDict({"dir": "data"})
  if arg.size not in SIZES:
    raise ValueError(f"config argument size: expected one of {', '.join(SIZES)}, got {arg.size!r}")
  config.update_from_flattened_dict(SIZES[arg.size])

  config.schedule.rate = 1e-3
  config.schedule.warmup = 50
  config.optimizer.clip_norm = 10.0
  config.optimizer.groups = parameter_groups(arg.alpha if arg.pool == "ppool" else None)
  if arg.runlocal:
    config.steps = 4
    config.batch = 8
    config.data.crop = (64, 96)
  return config


SIZES = {
  "full": {"data.crop": (360, 480), "data.scale": (0.5, 2.0), "batch": 8, "steps": 6000},
  # What two CPU cores can do in a quarter of an hour.
  "half": {"data.crop": (180, 240), "data.scale": (0.5, 1.0), "batch": 2, "steps": 600},
}

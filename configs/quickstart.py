"""Trains a small VGG from scratch on generated scenes, in minutes on two CPU cores and without a download.

  python -m train --config=configs/quickstart.py:pool=ppool --workdir=runs/quickstart/ppool

Arguments:
  pool, alpha, pool_stages, pool_rest: see configs.common.set_pooling.
  seed: seed of the parameters, data order and augmentation.
  runlocal: train a few steps, to test the whole pipeline in seconds.

Results with seed 0, in two minutes per run on two CPU cores: max pooling 68.8 mIoU and 53.6 on thin classes,
P-pooling 69.1 and 54.1.
"""

from __future__ import annotations

import ml_collections

from configs.common import POOLING_ARGS, default_config, set_pooling
from train.utils.config import parse_arg


def get_config(arg: str | None = None) -> ml_collections.ConfigDict:
  """Returns the config; the module's docstring describes the arguments."""
  args = parse_arg(arg, **POOLING_ARGS, seed=0, runlocal=False)
  config = default_config()
  config.seed = args.seed
  set_pooling(config, args)
  config.model.name = "vgg_mini"

  config.data.options = ml_collections.ConfigDict({"train": 1000, "val": 100, "seed": 0, "size": (96, 128)})
  config.data.scale = (1.0, 1.0)  # the generated scenes already vary in scale
  config.data.crop = (96, 128)
  config.data.photometric = 0.0
  config.batch_size = 16
  config.steps = 300

  config.schedule.learning_rate = 3e-3
  config.schedule.warmup = 20
  config.optimizer.groups = ml_collections.ConfigDict(
    {
      "kernel": {"pattern": r"backbone/(?!.*/alpha/).*/kernel", "lr": 1.0, "decay": 1.0, "optimizer": "adam"},
      # The classifier is initialized near zero, so it needs a higher rate in this short training.
      "head": {"pattern": r"head/.*/kernel", "lr": 10.0, "decay": 1.0, "optimizer": "adam"},
      "alpha": {"pattern": r".*/alpha/.*", "lr": 3.0, "decay": 0.0, "optimizer": "adam"},
      "rest": {"pattern": r"(?!.*/alpha/).*/(?!kernel)[^/]*", "lr": 1.0, "decay": 0.0, "optimizer": "adam"},
    }
  )
  config.eval.every = 100
  config.eval.batch_size = 20
  config.checkpoint.seconds = 2.0
  if args.runlocal:
    config.steps = 20
    config.eval.every = 0
    config.data.options.train = 64
    config.data.options.val = 16
  return config

"""VGG-16 on CamVid, from ImageNet weights."""

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
  for field, value in SIZES[arg.size].items():
    node, _, key = field.rpartition(".")
    (config[node] if node else config)[key] = value

  config.schedule.rate = 1e-3
  config.schedule.warmup = 50
  config.optimizer.clip_norm = 10.0
  config.optimizer.groups = parameter_groups(arg.alpha if arg.pool == "ppool" else None)
  if arg.runlocal:
    config.steps = 4
    config.batch = 1
    config.data.crop = (64, 96)
  return config


SIZES = {
  "full": {"data.crop": (360, 480), "data.scale": (0.5, 2.0), "batch": 8, "steps": 6000},
  # What two CPU cores can do in a quarter of an hour.
  "half": {"data.crop": (180, 240), "data.scale": (0.5, 1.0), "batch": 2, "steps": 600},
}

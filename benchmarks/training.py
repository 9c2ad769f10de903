"""Times a training step of VGG-16 with each pooling: the whole step, update and logging included.

    python -m benchmarks.training [--size 180,240] [--batch 2] [--rounds 5] [--out FILE.json]

All programs run interleaved in one process; figures are medians. Ratios are to max pooling here.
"""

from __future__ import annotations

import argparse
import json
import pathlib

import flax.linen as nn
import jax
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import timing
from configs.common import base, parameter_groups
from train.experiment import Experiment, initial_variables, make_experiment
from train.optimizer import make_optimizer, make_schedule
from train.parallel import Pmap
from train.step import TrainState, make_step

_REFERENCE = "max"


class FlaxMax(nn.Module):
  """Flax's max pooling as a layer."""

  window_shape: tuple
  strides: tuple
  padding: str

  def __call__(self, x):
    return nn.max_pool(x, self.window_shape, self.strides, self.padding)


POOLS = {
  "max": "max",
  "ppool": "ppool",
  "ppool, log alpha": ("ppool", {"alpha": "log_side_branch"}),
  "ppool, an alpha a channel": ("ppool", {"alpha": "channel"}),
  "avg": "avg",
  "flax max": FlaxMax,
}


def training_step(name: str, size: tuple[int, int], batch: int):
  """A callable that makes one step and waits for it."""
  config = base()
  config.data.name = "camvid"
  experiment = with_pool(make_experiment(config), POOLS[name])
  variables = initial_variables(experiment, 0)
  params = variables["params"]
  config.optimizer.groups = parameter_groups("log_side_branch" if "log" in name else None)
  schedule = make_schedule(config.schedule, config.steps)
  tx = make_optimizer(config.optimizer, schedule, params)
  parallel = Pmap()
  compiled = parallel.compile_step(
    make_step(experiment.model, experiment.preprocess, tx, schedule, parallel, normalise="pixel", seed=0)
  )
  draw = np.random.default_rng(0)
  arrays = parallel.place_batch(
    {
      "image": draw.integers(0, 256, (batch, *size, 3), np.uint8),
      "label": draw.integers(0, 11, (batch, *size), np.uint8),
    }
  )
  state = parallel.place_state(
    TrainState(jax.numpy.zeros((), int), params, variables["batch_stats"], tx.init(params))
  )
  kept = [state]

  def run():
    kept[0], metrics = compiled(kept[0], arrays)
    jax.block_until_ready((kept[0], metrics))

  return run


def with_pool(experiment: Experiment, pool) -> Experiment:
  model = experiment.model
  return experiment._replace(model=model.clone(backbone=model.backbone.clone(pool=pool)))


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument("--size", default="180,240", help="height,width")
  parser.add_argument("--batch", type=int, default=2)
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--out", type=pathlib.Path)
  arguments = parser.parse_args()
  size = tuple(int(side) for side in arguments.size.split(","))
  programs = {name: training_step(name, size, arguments.batch) for name in track(POOLS, "building")}
  times = timing.interleaved(programs, arguments.rounds, repeats=2)
  for row in times.values():
    row["ratio"] = row["ms"] / times[_REFERENCE]["ms"]
  table = Table("VGG-16 with", "ms a step", "of max", title=f"{arguments.batch} x {arguments.size}, float32")
  for name, row in times.items():
    table.add_row(name, f"{row['ms']:.0f}", f"{row['ratio']:.3f}")
  Console().print(table)
  if arguments.out:
    report = {"machine": timing.machine(), "size": size, "batch": arguments.batch, "steps": times}
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
  main()

"""Plans VGG-16 and ResNet-50, max pooling and P-pooling, on v5e slices of 8 to 256 chips: docs/PODS.md.

    python -m benchmarks.planning [--dtypes float32 bfloat16] [--out FILE.json]

The modern recipe on Cityscapes, crops of 512x1024, one a chip. A compilation takes minutes; what the file
has is not compiled again. The largest batch is looked for on the smallest slice, where no collective is
smaller: the others differ in nothing but the number of chips that take part.
"""

from __future__ import annotations

import argparse
import itertools
import pathlib

from configs import paper
from train.planning.programs import Programs
from train.planning.slices import plan_slice, prepare_jax

NETWORKS, POOLS, DTYPES = ("vgg16", "resnet50"), ("max", "ppool"), ("float32", "bfloat16")
SLICES = ("2x4", "16x16", "4x4", "4x8", "8x8", "8x16")


def config_of(network: str, pool: str, dtype: str):
  config = paper.get_config(f"data=cityscapes,network={network},recipe=modern,pool={pool}")
  config.dtype = dtype
  return config


def sweep(programs: Programs, dtypes, search: bool) -> None:
  """Every slice with one image a chip; with `search`, the largest batch on the first."""
  slices = SLICES[:1] if search else SLICES
  for shape, dtype, network, pool in itertools.product(slices, dtypes, NETWORKS, POOLS):
    print(f"{network} {pool} {dtype}", flush=True)
    print(plan_slice(programs, config_of(network, pool, dtype), f"v5e:{shape}", 1, int(search)), flush=True)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
  parser.add_argument("--out", type=pathlib.Path)
  arguments = parser.parse_args()
  prepare_jax()
  programs = Programs(arguments.out)
  sweep(programs, arguments.dtypes, search=False)
  sweep(programs, arguments.dtypes, search=True)


if __name__ == "__main__":
  main()

"""Plans VGG-16 and ResNet-50, max pooling and P-pooling, on v5e slices of 8 to 256 chips: docs/PODS.md.

    python -m benchmarks.planning [--dtypes float32 bfloat16] [--out FILE.json] [--table]

The modern recipe on Cityscapes, crops of 512x1024, one a chip. A compilation takes minutes; what the file
has is not compiled again, and --table only prints it in Markdown. The largest batch is looked for on the
smallest slice: a chip's program is the same on all of them but for the number of chips that take part.
"""

from __future__ import annotations

import argparse
import itertools
import pathlib

from configs import paper
from train.planning.chips import GIB
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


_COLUMNS = (
  "network, pool, dtype", "chips", "GiB a chip", "GFLOP", "GB moved", "all-reduce MB", "computing ms",
  "memory ms", "collectives ms", "step ms", "images/s", "largest batch",
)  # fmt: skip


def table(plans) -> str:
  """In Markdown, by network, pool and dtype, then by chips."""
  order = {name: i for i, name in enumerate((*NETWORKS, *POOLS, *DTYPES))}
  plans = sorted(plans, key=lambda p: (order[p["network"]], order[p["dtype"]], p["chips"], order[p["pool"]]))
  return "\n".join(map(_line, (_COLUMNS, ["---"] * len(_COLUMNS), *map(_row, plans))))


def _row(plan: dict) -> tuple:
  seconds = plan["estimated_seconds"]
  return (
    f"{plan['network']} {plan['pool']} {plan['dtype']}",
    plan["chips"],
    f"{plan['memory_per_chip'] / GIB:.2f}",
    f"{plan['flops_per_chip'] / 1e9:,.0f}",
    f"{plan['bytes_per_chip'] / 1e9:.1f}",
    f"{sum(c['bytes'] for c in plan['collectives'].values()) / 1e6:.1f}",
    *(f"{1e3 * seconds[term]:.2f}" for term in ("compute", "memory", "collectives", "step")),
    f"{plan['batch'] / seconds['step']:,.0f}",
    plan.get("largest_batch", ""),
  )


def _line(cells) -> str:
  return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
  parser.add_argument("--out", type=pathlib.Path)
  parser.add_argument("--table", action="store_true", help="print what the file has, in Markdown")
  arguments = parser.parse_args()
  prepare_jax()
  programs = Programs(arguments.out)
  if not arguments.table:
    sweep(programs, arguments.dtypes, search=False)
    sweep(programs, arguments.dtypes, search=True)
  print(table(programs.plans.values()))


if __name__ == "__main__":
  main()

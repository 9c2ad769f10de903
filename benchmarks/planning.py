"""Plans VGG-16 and ResNet-50, max pooling and P-pooling, on v5e slices of 8 to 256 chips: docs/PODS.md.

    python -m benchmarks.planning [--dtypes float32 bfloat16] [--out FILE.json] [--table]

Each plan is of the modern recipe on Cityscapes with one 512x1024 crop per chip. Programs are compiled for the
smallest and the largest slice. The program of a chip is the same on both except for the number of chips in a
collective; therefore the slices between use the program of the smallest slice, and the largest batch is
searched there. A compilation takes minutes and is cached in the file; --table only prints the file's plans.
"""

from __future__ import annotations

import itertools

from benchmarks import arguments
from configs import paper
from train.planning.chips import CHIPS, GIB
from train.planning.estimate import estimate_step_time
from train.planning.program_cache import ProgramCache
from train.planning.program_cost import Collective, ProgramCost
from train.planning.slices import configure_jax, plan_slice
from train.utils.errors import report_errors

NETWORKS, POOLS, DTYPES = ("vgg16", "resnet50"), ("max", "ppool"), ("float32", "bfloat16")
SMALLEST, LARGEST, CHIP_COUNTS = "v5e:2x4", "v5e:16x16", (8, 16, 32, 64, 128, 256)


def make_config(network: str, pool: str, dtype: str):
  config = paper.get_config(f"data=cityscapes,network={network},recipe=modern,pool={pool}")
  config.dtype = dtype
  return config


def sweep(programs: ProgramCache, dtypes) -> None:
  """Plans one image per chip on the smallest slice, then its largest batch, then the largest slice."""
  for (slice_, search), dtype, network, pool in itertools.product(
    ((SMALLEST, False), (SMALLEST, True), (LARGEST, False)), dtypes, NETWORKS, POOLS
  ):
    print(f"{network} {pool} {dtype}", flush=True)
    print(plan_slice(programs, make_config(network, pool, dtype), slice_, 1, search), flush=True)


def table(plans) -> str:
  """Formats the plans of the smallest slice in Markdown, and names the configs compared on the largest.

  Raises:
    ValueError: a program differs on the largest slice, or a plan is not of this sweep.
  """
  small, large = (_plans_for(slice_, plans) for slice_ in (SMALLEST, LARGEST))
  if len(small) + len(large) < len(plans):
    raise ValueError(f"expected plans of this sweep for {SMALLEST} and {LARGEST} alone, but there are others")
  lines = map(_line, (_COLUMNS, ["---"] * len(_COLUMNS), *map(_row, small.values())))
  return "\n".join((*lines, "", _check_same(small, large)))


def _plans_for(slice_: str, plans) -> dict[str, dict]:
  """The plans of a slice by config, in the table's order."""
  by_name = {_name(plan): plan for plan in plans if plan["topology"] == slice_}
  order = (", ".join(names) for names in itertools.product(NETWORKS, DTYPES, POOLS))
  return {name: by_name[name] for name in order if name in by_name}


def _name(plan: dict) -> str:
  return f"{plan['network']}, {plan['dtype']}, {plan['pool']}"


_COLUMNS = (
  "", "GiB per chip", "alive", "TFLOP", "GB moved", "all-reduce MB",
  "ms: compute", "memory", "collectives", "step",
  *(f"images/s on {count}" for count in CHIP_COUNTS), "largest per chip",
)  # fmt: skip


def _row(plan: dict) -> tuple:
  at = {count: _estimate(plan, count) for count in CHIP_COUNTS}
  most = at[max(CHIP_COUNTS)]
  return (
    _name(plan),
    f"{plan['memory_per_chip'] / GIB:.2f}",
    f"{plan['alive_per_chip'] / GIB:.2f}",
    f"{plan['flops_per_chip'] / 1e12:.2f}",
    f"{plan['bytes_per_chip'] / 1e9:.1f}",
    f"{sum(c['bytes'] for c in plan['collectives'].values()) / 1e6:.1f}",
    *(f"{1e3 * seconds:.1f}" for seconds in (*most, most.step)),
    *(f"{count / at[count].step:,.0f}" for count in CHIP_COUNTS),
    plan["largest_batch"] // plan["chips"] if "largest_batch" in plan else "",
  )


def _estimate(plan: dict, chips: int):
  collectives = {kind: Collective(**fields) for kind, fields in plan["collectives"].items()}
  program = ProgramCost(0, 0, 0, 0, 0, 0, plan["flops_per_chip"], plan["bytes_per_chip"], collectives)
  return estimate_step_time(program, CHIPS["v5e"], chips)


def _check_same(small: dict[str, dict], large: dict[str, dict]) -> str:
  """Checks that the programs of both slices agree, and says for which configs."""
  both = [name for name in large if name in small]
  for name, field in itertools.product(both, ("flops_per_chip", "bytes_per_chip", "collectives")):
    a, b = small[name][field], large[name][field]
    if a != b:
      raise ValueError(f"{name}: {field}: expected the same on {SMALLEST} and {LARGEST}, got {a} and {b}")
  if not both:
    return f"No plan for {LARGEST}: the programs there were not compared."
  return f"The program of a chip is the same on {LARGEST}: checked for {'; '.join(both)}."


def _line(cells) -> str:
  return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
  parser = arguments.parser("planning", __doc__)
  parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
  parser.add_argument("--out", type=arguments.out_file)
  parser.add_argument("--table", action="store_true", help="only print the file's plans in Markdown")
  args = parser.parse_args()
  if args.table and not (args.out and args.out.is_file()):
    parser.error(f"--table: expected the file of an earlier sweep by --out, got {args.out}")
  programs = ProgramCache(args.out)
  configure_jax()
  if not args.table:
    sweep(programs, args.dtypes)
  print(table(programs.plans.values()))


if __name__ == "__main__":
  with report_errors():
    main()

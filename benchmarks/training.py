"""Times training steps with P-pooling against max pooling, with memory and compilation, and by stage.

  python -m benchmarks.training [--networks vgg16 resnet50] [--dtypes float32 bfloat16] [--size HxW]
    [--batch N] [--rounds 5] [--stages] [--out FILE.json]

A step is all that training does on the device: preprocessing, forward and backward pass, update, metrics. The
steps of one network and dtype run interleaved in one process; times are medians, ratios are to max pooling.
Peak memory is the compiler's plan: arguments, results and the largest set of temporaries alive at once.
Operations are counted before the compiler's optimizations, in the same way on every platform.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from rich.progress import track

from benchmarks import arguments, timing
from benchmarks.steps import Case, Step, operations, stage_programs
from ppool_jax.models import NETWORKS
from ppool_jax.utils.arguments import parse_size
from train.experiment.experiment import DTYPES
from train.planning.machine import describe_machine
from train.utils.errors import report_errors
from train.utils.json_files import write_json
from train.visualization.text import print_table

POOLS = ("max", "ppool", "flax max")
MORE_POOLS = ("ppool:log_side_branch", "ppool:channel", "avg")
"""Also timed, with the first network and dtype."""
ON_CPU, ON_ACCELERATOR = (2, (180, 240)), (8, (360, 480))
"""Default number and size of images; the smaller ones would leave an accelerator idle."""
STAGED_POOLS = 2
"""How many of the pools are timed by stage."""

_PEAK_SIDE = 8192


def main() -> None:
  args = _parser().parse_args()
  _enable_cpu()
  batch, size = workload(args.batch, args.size, _accelerator())
  # A compilation that is read from the cache takes no time.
  jax.config.update("jax_enable_compilation_cache", False)
  report = {"machine": describe_machine(), "size": size, "batch": batch, "steps": {}, "stages": {}}
  peaks = {dtype: matrix_peak(dtype) for dtype in args.dtypes} if _accelerator() else {}
  for number, (network, dtype) in enumerate((n, d) for n in args.networks for d in args.dtypes):
    pools = (*POOLS, *(MORE_POOLS if number == 0 else ()))
    cases = [Case(network, pool, dtype, size, batch) for pool in pools]
    rows = time_steps(cases, args.rounds, peaks.get(dtype))
    report["steps"] |= rows
    print_steps(rows)
    if args.stages:
      stages = {str(case): time_stages(case, args.rounds) for case in cases[:STAGED_POOLS]}
      report["stages"] |= stages
      print_stages(stages)
    if args.out:
      write_json(args.out, report)


def _parser():
  parser = arguments.parser("training", __doc__)
  add, small, large = parser.add_argument, ON_CPU, ON_ACCELERATOR
  add("--networks", nargs="+", choices=NETWORKS, default=["vgg16", "resnet50"])
  add("--dtypes", nargs="+", choices=DTYPES, default=["float32", "bfloat16"])
  sizes = "{}x{}; on an accelerator {}x{}".format(*small[1], *large[1])
  add("--size", type=parse_size, metavar="HxW", help=f"height x width (default: {sizes})")
  counts = f"{small[0]}; on an accelerator {large[0]}"
  add("--batch", type=arguments.positive, metavar="N", help=f"images (default: {counts})")
  add("--rounds", type=arguments.positive, default=5)
  add("--stages", action="store_true", help="also time each stage")
  add("--out", type=arguments.out_file)
  return parser


def workload(batch: int | None, size: tuple[int, int] | None, accelerator: bool) -> tuple:
  """(batch, size); None: the default of the platform."""
  default = ON_ACCELERATOR if accelerator else ON_CPU
  return batch or default[0], size or default[1]


def time_steps(cases: list[Case], rounds: int, peak: float | None) -> dict[str, dict]:
  """Rows by case; ratios are to the first case."""
  steps = {str(case): Step(case) for case in track(cases, "compiling")}
  work = {str(case): operations(case) for case in cases}
  rows = timing.interleaved(steps, rounds, repeats=2)
  reference = str(cases[0])
  for name, step in steps.items():
    row = rows[name]
    row |= {
      "mib": step.cost.memory / 2**20,
      "compile_s": step.seconds,
      "gflop": work[name] / 1e9,
    }
    row["ratio"] = row["ms"] / rows[reference]["ms"]
    row["memory_ratio"] = step.cost.memory / steps[reference].cost.memory
    if peak:
      row["share_of_peak"] = row["gflop"] / row["ms"] * 1e12 / peak
  return rows


def time_stages(case: Case, rounds: int) -> dict[str, float]:
  """Median milliseconds by stage, forward and backward: the difference to the stage before."""
  times = timing.interleaved(stage_programs(case), rounds, repeats=2)
  before, stages = 0.0, {}
  for name, row in times.items():
    stages[name], before = row["ms"] - before, row["ms"]
  return stages


def matrix_peak(dtype: str) -> float:
  """Measured peak FLOP/s of this device in a product of two large matrices."""
  a = jnp.ones((_PEAK_SIDE, _PEAK_SIDE), dtype)
  product = jax.jit(lambda a: a @ a)
  times = timing.interleaved({"product": lambda: jax.block_until_ready(product(a))}, 5)
  return 2 * _PEAK_SIDE**3 / times["product"]["min_ms"] * 1e3


def _enable_cpu() -> None:
  """Adds the CPU to JAX's platforms: operations are counted on it, and JAX_PLATFORMS=cuda excludes it."""
  names = (jax.config.jax_platforms or "cpu").split(",")
  if "cpu" not in names:
    jax.config.update("jax_platforms", ",".join((*names, "cpu")))


def _accelerator() -> bool:
  return jax.devices()[0].platform != "cpu"


def print_steps(rows: dict[str, dict]) -> None:
  header = ("step of", "ms", "of max", "MiB", "of max", "compiled in s", "GFLOP/s", "of peak")
  lines = []
  for name, row in rows.items():
    share = f"{row['share_of_peak']:.0%}" if "share_of_peak" in row else ""
    figures = f"{row['ms']:.0f} {row['ratio']:.3f} {row['mib']:.0f} {row['memory_ratio']:.3f}".split()
    lines.append([name, *figures, f"{row['compile_s']:.1f}", f"{1e3 * row['gflop'] / row['ms']:.0f}", share])
  print_table(header, lines)


def print_stages(stages: dict[str, dict]) -> None:
  names = next(iter(stages.values()))
  rows = [[name, *(f"{times.get(name, 0):.1f}" for times in stages.values())] for name in names]
  print_table(["stage, forward + backward, ms", *stages], rows)


if __name__ == "__main__":
  with report_errors():
    main()

"""Counts the bytes that poolings move on a TPU, over the minimum; compiled ahead of time, nothing runs.

  python -m benchmarks.tpu_bytes [--topology v5e:2x2] [--programs ppool ...] [--dtype bfloat16]
    [--out FILE.json]

Windows are 2x2 with stride 2. The minimum is x, alpha and y once for the forward pass, and also x, alpha, dy,
dx and dalpha for both passes. "given" uses the default layout of arguments, "free" the layout that the
compiler chooses, as between the layers of a network. Needs libtpu: make env EXTRAS=plan.
"""

from __future__ import annotations

import importlib.metadata
import unittest.mock

import jax
import jax.numpy as jnp
from jax.experimental.layout import Format, Layout
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import arguments, candidates
from train.planning.machine import describe_machine
from train.planning.topology import topology_devices
from train.utils.errors import report_errors
from train.utils.json_files import write_json

SHAPES = ((8, 224, 224, 64), (8, 56, 56, 256))
_BY_PLATFORM = "ppool_jax.pooling.lehmer_jvp.by_platform"


def main() -> None:
  parser = arguments.parser("tpu_bytes", __doc__)
  parser.add_argument("--topology", default="v5e:2x2")
  parser.add_argument("--programs", nargs="+", choices=programs(), default=list(programs()))
  parser.add_argument(
    "--dtype", choices=("float32", "bfloat16"), default="float32", help="of x, not of alpha"
  )
  parser.add_argument("--out", type=arguments.out_file)
  args = parser.parse_args()
  jax.config.update("jax_platforms", "cpu")
  sharding = jax.sharding.SingleDeviceSharding(topology_devices(args.topology)[0])
  names, dtype = track(args.programs, "compiling"), args.dtype
  rows = [measure_row(name, shape, dtype, sharding) for name in names for shape in SHAPES]
  print_rows(rows)
  if args.out:
    machine = {**describe_machine(), "libtpu": importlib.metadata.version("libtpu")}
    write_json(args.out, {"machine": machine, "topology": args.topology, "dtype": dtype, "rows": rows})


def programs() -> dict:
  """The functions `(x, alpha) -> y` by name."""
  pools = candidates.library() | candidates.flax_poolings() | candidates.formulations()
  formulations = ("closed form, bare", "slices", "6-D reshape", "reduce_window")
  names = (*formulations, "flax max_pool", "flax avg_pool", "max", "avg")
  return {
    "ppool": pools["ppool"],
    "ppool, as on other platforms": _without_tpu_formulation(pools["ppool"]),
  } | {name: pools[name] for name in names}


def _without_tpu_formulation(pool):
  """P-pooling in the formulation of other platforms."""

  def run(x, alpha):
    jax.clear_caches()  # JAX caches traces
    try:
      with unittest.mock.patch(_BY_PLATFORM, lambda function, win, *operands: function(win, *operands)):
        return pool(x, alpha)
    finally:
      jax.clear_caches()

  return run


def measure_row(name: str, shape: tuple[int, ...], dtype: str, sharding) -> dict:
  """Bytes over the minimum, for both layouts and both passes."""
  layouts = {"given": sharding, "free": Format(Layout.AUTO, sharding)}
  return {"name": name, "shape": shape} | {
    f"{layout} {passes}": bytes_ratio(programs()[name], shape, dtype, passes, sharding)
    for layout, sharding in layouts.items()
    for passes in ("forward", "both")
  }


def bytes_ratio(function, shape: tuple[int, ...], dtype: str, passes: str, sharding) -> float:
  """Bytes that `function(x, alpha)` accesses, as the compiler counts them, over the minimum.

  Args:
    shape: of x, `[N, H, W, C]`.
    dtype: of x and y; alpha is float32.
    passes: "forward", or "both" with the gradients of x and alpha.
    sharding: of a TPU device, or a `Format` of it.
  """
  n, h, w, c = shape
  x, y = (jax.ShapeDtypeStruct(s, dtype) for s in (shape, (n, h // 2, w // 2, c)))
  alpha = jax.ShapeDtypeStruct(y.shape, jnp.float32)
  program, arguments = (function, (x, alpha)) if passes == "forward" else (_both(function), (x, alpha, y))
  compiled = jax.jit(program, in_shardings=sharding, out_shardings=sharding).lower(*arguments).compile()
  forward = _bytes(x, alpha, y)
  minimum = {"forward": forward, "both": forward + _bytes(x, alpha, y, x, alpha)}
  return compiled.cost_analysis()["bytes accessed"] / minimum[passes]


def _bytes(*arrays) -> int:
  return sum(array.size * array.dtype.itemsize for array in arrays)


def _both(function):
  def run(x, alpha, dy):
    y, back = jax.vjp(function, x, alpha)
    return y, back(dy)

  return run


def print_rows(rows: list[dict]) -> None:
  columns = ("given forward", "given both", "free forward", "free both")
  table = Table("", "x", *columns)
  for row in rows:
    table.add_row(row["name"], str(list(row["shape"])), *(f"{row[name]:.2f}" for name in columns))
  Console(width=110).print(table)


if __name__ == "__main__":
  with report_errors():
    main()

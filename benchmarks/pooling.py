"""Times every pooling against Flax's, other formulations, PyTorch and the machine's limits.

    python -m benchmarks.pooling [--shape 2,224,224,64] [--dtype float32] [--out FILE.json]

All programs run interleaved in one process; times are medians. Ratios are to Flax's max_pool.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import arguments, candidates, timing, torch_candidates
from train.planning.machine import describe_machine
from train.utils.errors import report_errors
from train.utils.json_files import write_json

_REFERENCE = "flax max_pool"


def inputs(shape, dtype):
  """x >= 0 with zeros, as after ReLU; an alpha map in [0, 10]; a cotangent."""
  n, h, w, c = shape
  keys = jax.random.split(jax.random.key(0), 3)
  out = (n, h // 2, w // 2, c)
  x = jax.nn.relu(jax.random.normal(keys[0], shape)).astype(dtype)
  return x, 10 * jax.random.uniform(keys[1], out), jax.random.normal(keys[2], out).astype(dtype)


def compile_all(functions, x, alpha, dy):
  """name -> {"forward", "both", "reverse_temp", "both_temp"}: programs, and temporaries over x's bytes."""
  compiled = {}
  for name, function in track(functions.items(), description="compiling"):
    forward = jax.jit(function).lower(x, alpha).compile()
    cotangent = dy if forward(x, alpha).shape == dy.shape else x
    both = jax.jit(_both(function)).lower(x, alpha, cotangent).compile()
    reverse = jax.jit(_reverse(function)).lower(x, alpha, cotangent).compile()
    compiled[name] = {
      "forward": lambda run=forward: jax.block_until_ready(run(x, alpha)),
      "both": lambda run=both, g=cotangent: jax.block_until_ready(run(x, alpha, g)),
      "reverse_temp": reverse.memory_analysis().temp_size_in_bytes / x.nbytes,
      "both_temp": both.memory_analysis().temp_size_in_bytes / x.nbytes,
    }
  return compiled


def _both(function):
  def run(x, alpha, dy):
    y, back = jax.vjp(function, x, alpha)
    return y, back(dy)

  return run


def _reverse(function):
  return lambda x, alpha, dy: jax.vjp(function, x, alpha)[1](dy)


def measure(shape, dtype, rounds):
  """Rows of the table, a dict for each program."""
  x, alpha, dy = inputs(shape, dtype)
  functions = candidates.limits() | candidates.flax_poolings() | candidates.library()
  compiled = compile_all(functions | candidates.formulations(), x, alpha, dy)
  if dtype == jnp.float32:
    compiled |= torch_candidates.programs(*(np.asarray(z) for z in (x, alpha, dy)))
  forward = timing.interleaved({name: c["forward"] for name, c in compiled.items()}, rounds)
  both = timing.interleaved({name: c["both"] for name, c in compiled.items()}, rounds)
  return [_row(name, c, forward, both, x, alpha, dy) for name, c in compiled.items()]


def _row(name, programs, forward, both, x, alpha, dy):
  """Times, ratios, and for P-pooling useful bytes over time as a share of the copy's."""
  forward_bytes = x.nbytes + alpha.nbytes + dy.nbytes
  both_bytes = 2 * (x.nbytes + alpha.nbytes + dy.nbytes) + x.nbytes + alpha.nbytes
  copy_rate = 2 * x.nbytes / forward["copy"]["ms"]
  row = {
    "name": name,
    "forward": forward[name],
    "both": both[name],
    "forward_ratio": forward[name]["ms"] / forward[_REFERENCE]["ms"],
    "both_ratio": both[name]["ms"] / both[_REFERENCE]["ms"],
    "both_first_ratio": both[name]["first_ms"] / both[_REFERENCE]["first_ms"],
    "forward_over_log_exp": forward[name]["ms"] / forward["log + exp pass"]["ms"],
    "reverse_temp": programs.get("reverse_temp"),
    "both_temp": programs.get("both_temp"),
  }
  if name == "ppool":
    row["forward_of_copy"] = forward_bytes / forward[name]["ms"] / copy_rate
    row["both_of_copy"] = both_bytes / both[name]["ms"] / copy_rate
  return row


def print_rows(rows, title):
  """Prints the table; Markdown-friendly columns."""
  table = Table("", "fwd ms", "fwd+bwd ms", "of flax max", "(first call)", "reverse temp / x", title=title)
  for row in rows:
    temp = row["reverse_temp"]
    table.add_row(
      row["name"],
      f"{row['forward']['ms']:.1f}",
      f"{row['both']['ms']:.1f}",
      f"{row['both_ratio']:.2f}",
      f"{row['both_first_ratio']:.2f}",
      "" if temp is None else f"{temp:.2f}",
    )
  console = Console(width=110)
  console.print(table)
  ppool = next(row for row in rows if row["name"] == "ppool")
  console.print(
    f"P-pooling: forward {ppool['forward_over_log_exp']:.2f} of one log+exp pass; useful bytes over time "
    f"{ppool['forward_of_copy']:.0%} (forward) and {ppool['both_of_copy']:.0%} (both) of a copy's"
  )


def main() -> None:
  """Command line."""
  parser = arguments.parser("pooling", __doc__)
  parser.add_argument(
    "--shape", type=arguments.shape, default="2,224,224,64", help="N,H,W,C with even H and W"
  )
  parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
  parser.add_argument("--rounds", type=arguments.positive, default=15)
  parser.add_argument("--out", type=arguments.out_file, help="JSON file to write")
  args = parser.parse_args()
  rows, machine = measure(args.shape, jnp.dtype(args.dtype), args.rounds), describe_machine()
  print_rows(
    rows, f"{list(args.shape)} {args.dtype}, 2x2 stride 2, on {machine['device']} x {machine['cores']}"
  )
  if args.out:
    settings = {"shape": args.shape, "dtype": args.dtype, "rounds": args.rounds}
    write_json(args.out, {"machine": machine, **settings, "rows": rows})
    print(f"wrote {args.out}")


if __name__ == "__main__":
  with report_errors():
    main()

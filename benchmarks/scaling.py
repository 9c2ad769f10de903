"""Counts the collectives and bytes of a training step over 1 to 8 simulated devices.

  python -m benchmarks.scaling [--networks vgg16 resnet50] [--batch 2] [--size 180x240] [--out FILE.json]

Simulated devices share the machine's cores, so times are meaningless: only the compiled program is measured.
`--batch` is per device, so the work of each device is constant.
"""

from __future__ import annotations

import os

import jax

from benchmarks import arguments
from benchmarks.steps import Case
from ppool_jax.models import NETWORKS
from ppool_jax.utils.arguments import parse_size
from train.planning.lower_step import lower_train_step
from train.planning.machine import describe_machine
from train.planning.program_cost import measure_program
from train.utils.errors import report_errors
from train.utils.json_files import write_json

_DEVICES = (1, 2, 4, 8)


def main() -> None:
  parser = arguments.parser("scaling", __doc__)
  parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["vgg16", "resnet50"])
  parser.add_argument("--batch", type=arguments.positive, default=2, help="images per device")
  parser.add_argument("--size", type=parse_size, default="180x240", help="height x width")
  parser.add_argument("--out", type=arguments.out_file)
  args = parser.parse_args()
  # Must precede the start of a backend.
  jax.config.update("jax_platforms", "cpu")
  os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + f" --xla_force_host_platform_device_count={max(_DEVICES)}"
  )
  rows = [
    row
    for network in args.networks
    for pool in ("max", "ppool")
    for row in measure_scaling(network, pool, args.size, args.batch)
  ]
  if args.out:
    write_json(
      args.out, {"machine": describe_machine(), "size": args.size, "batch": args.batch, "rows": rows}
    )


def measure_scaling(network: str, pool: str, size: tuple[int, int], batch: int):
  """Yields and prints a row for each number of devices."""
  for count in _DEVICES:
    config = Case(network, pool, "float32", size, batch * count).config()
    cost = measure_program(lower_train_step(config, jax.devices()[:count], batch * count).compile())
    sent = {kind: collective._asdict() for kind, collective in cost.collectives.items()}
    total = sum(kind["bytes"] for kind in sent.values())
    yield {
      "network": network, "pool": pool, "devices": count, "memory": cost.memory, "flops": cost.flops,
      "collectives": sent,
    }  # fmt: skip
    number = sum(kind["count"] for kind in sent.values())
    print(
      f"{network} {pool}: {count} devices: {number} collectives, {total / 2**20:.2f} MiB, each device "
      f"{cost.flops / 1e9:.1f} GFLOP, {cost.memory / 2**20:.0f} MiB",
      flush=True,
    )


if __name__ == "__main__":
  with report_errors():
    main()

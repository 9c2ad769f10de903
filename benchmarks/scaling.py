"""What one more device costs: collectives and bytes of a training step over 1 to 8 simulated devices.

  python -m benchmarks.scaling [--networks vgg16 resnet50] [--batch 2] [--size 180x240] [--out FILE.json]

Simulated devices share the machine's cores, so their time says nothing; what the compiled step sends does.
`--batch` is per device: the work of each stays the same.
"""

from __future__ import annotations

import os

import jax

from benchmarks import arguments
from benchmarks.steps import Case
from ppool_jax.models import NETWORKS
from ppool_jax.utils.arguments import parse_size
from train.planning.compiled import measures
from train.planning.machine import machine
from train.planning.programs import lowered_step
from train.utils.errors import report_errors
from train.utils.json_files import write_json

_DEVICES = (1, 2, 4, 8)


def main() -> None:
  parser = arguments.parser("scaling", __doc__)
  parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["vgg16", "resnet50"])
  parser.add_argument("--batch", type=arguments.positive, default=2, help="images a device")
  parser.add_argument("--size", type=parse_size, default="180x240", help="height x width")
  parser.add_argument("--out", type=arguments.out_file)
  args = parser.parse_args()
  # Before a back end starts.
  jax.config.update("jax_platforms", "cpu")
  os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + f" --xla_force_host_platform_device_count={max(_DEVICES)}"
  )
  rows = [
    row
    for network in args.networks
    for pool in ("max", "ppool")
    for row in scaling(network, pool, args.size, args.batch)
  ]
  if args.out:
    write_json(args.out, {"machine": machine(), "size": args.size, "batch": args.batch, "rows": rows})


def scaling(network: str, pool: str, size: tuple[int, int], batch: int):
  """Yields a row for each number of devices, and prints it."""
  for count in _DEVICES:
    config = Case(network, pool, "float32", size, batch * count).config()
    found = measures(lowered_step(config, jax.devices()[:count], batch * count).compile())
    sent = {kind: found._asdict() for kind, found in found.collectives.items()}
    total = sum(kind["bytes"] for kind in sent.values())
    yield {
      "network": network, "pool": pool, "devices": count, "memory": found.memory, "flops": found.flops,
      "collectives": sent,
    }  # fmt: skip
    number = sum(kind["count"] for kind in sent.values())
    print(
      f"{network} {pool}: {count} devices: {number} collectives, {total / 2**20:.2f} MiB, each device "
      f"{found.flops / 1e9:.1f} GFLOP, {found.memory / 2**20:.0f} MiB",
      flush=True,
    )


if __name__ == "__main__":
  with report_errors():
    main()

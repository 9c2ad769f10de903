"""`python -m ppool_jax.models` prints parameters, multiply-adds and output stride of networks and pools."""

from __future__ import annotations

import argparse
import sys

from ppool_jax.layers import POOLS
from ppool_jax.models import NETWORKS, build
from ppool_jax.models.cost import cost
from ppool_jax.utils.arguments import parse_size

_ROW = "{:<22}{:<11}{:>13}{:>15}{:>15}{:>8}"


def main() -> None:
  parser = argparse.ArgumentParser(
    prog="python -m ppool_jax.models",
    description="Prints the number of parameters, the share of P-pooling's side branches in them, the "
    "multiply-adds for one image and the output stride of every network with every pool.",
  )
  parser.add_argument("--networks", nargs="+", default=list(NETWORKS), metavar="NAME", help="default: all")
  parser.add_argument(
    "--pools", nargs="+", default=["published", *POOLS], metavar="NAME", help="default: all"
  )
  parser.add_argument("--classes", type=int, default=21, help="number of classes (default: 21)")
  size = "image size (default: 512x512)"
  parser.add_argument("--size", type=parse_size, default="512x512", metavar="HxW", help=size)
  arguments = parser.parse_args()
  try:
    print(_ROW.format("network", "pool", "parameters", "side branches", "multiply-adds", "stride"))
    for network in arguments.networks:
      for pool in arguments.pools:
        print(_row(network, pool, arguments.classes, *arguments.size), flush=True)
  except (ImportError, TypeError, ValueError) as error:
    sys.exit(f"error: {error}")


def _row(network: str, pool: str, classes: int, height: int, width: int) -> str:
  model = build(network, classes, pool=pool)
  try:
    result = cost(model, height, width)
  except ValueError as error:
    reason = str(error).splitlines()[0]
    if pool not in ("published", *POOLS):
      raise ValueError(reason) from None
    return f"{network:<22}{pool:<11}refused: {reason}"
  share = f"{result.side_branches / result.parameters:.3%}" if result.side_branches else "-"
  adds = f"{result.multiply_adds / 1e9:.2f} G"
  return _ROW.format(network, pool, f"{result.parameters:,}", share, adds, result.output_stride)


if __name__ == "__main__":
  main()

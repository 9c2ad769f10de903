"""Published peaks of TPU chips, and the slices that are offered."""

from __future__ import annotations

from typing import NamedTuple

GIB = 2**30


class Chip(NamedTuple):
  """One chip.

  Attributes:
    name: the first part of a topology's name.
    flops: peak of the matrix units in bfloat16, FLOP/s.
    memory: HBM in bytes; the compiler reserves some of it.
    bandwidth: of the HBM, bytes/s.
    links: bytes/s that it sends to other chips over all its links: half of the published value, which
      counts both directions.
    slices: the shapes that are offered, chips along each axis of the torus or mesh.
  """

  name: str
  flops: float
  memory: int
  bandwidth: float
  links: float
  slices: tuple[str, ...]


# v5e: https://docs.cloud.google.com/tpu/docs/v5e (197 TFLOPs, 16 GB, 819 GBps, 400 GBps in both directions)
# v5p: https://docs.cloud.google.com/tpu/docs/v5p-training (459 TFLOPs, 95 GiB, 2765 GBps, 1200 GBps)
# v6e: https://docs.cloud.google.com/tpu/docs/v6e (918 TFLOPs, 32 GB, 1638 GBps, 800 GBps)
# v4 is missing because its page gives no bandwidth of the links. libtpu has no v5e slice of one chip.
_FLAT = ("2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_CUBES = ("2x2x1", "2x2x2", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x16", "8x16x16", "16x16x16")
CHIPS = {
  chip.name: chip
  for chip in (
    Chip("v5e", 197e12, 16 * GIB, 819e9, 200e9, _FLAT),
    Chip("v5p", 459e12, 95 * GIB, 2765e9, 600e9, (*_CUBES, "16x16x24")),
    Chip("v6e", 918e12, 32 * GIB, 1638e9, 400e9, _FLAT),
  )
}


def lookup_chip(topology: str) -> Chip:
  """The chip of a topology such as "v5e:4x8".

  Raises:
    ValueError: no such chip, or no such slice of it; the message lists the existing ones.
  """
  name, _, shape = topology.partition(":")
  if name in CHIPS and shape in CHIPS[name].slices:
    return CHIPS[name]
  if name in CHIPS:
    raise ValueError(
      f"--topology: expected {name}: with one of {', '.join(CHIPS[name].slices)}, got {topology!r}"
    )
  known = "; ".join(f"{chip.name}:{{{','.join(chip.slices)}}}" for chip in CHIPS.values())
  raise ValueError(f"--topology: expected CHIP:SHAPE, one of {known}, got {topology!r}")

"""How long a step should take, from what its program does and what its chips can do at best."""

from __future__ import annotations

from typing import NamedTuple

from train.planning.chips import Chip
from train.planning.compiled import Measures


class Estimate(NamedTuple):
  """Seconds a step, each term at the chip's published peak: a roofline, not a measurement.

  Attributes:
    compute: all operations on the matrix units in bfloat16. TPUs multiply float32 in one bfloat16 pass by
      default, so the dtype of the computation does not change it.
    memory: all bytes through the HBM.
    collectives: rings over all links of each chip.
  """

  compute: float
  memory: float
  collectives: float

  @property
  def step(self) -> float:
    """Computing and moving overlap, collectives do not: they end the step."""
    return max(self.compute, self.memory) + self.collectives

  @property
  def bound(self) -> str:
    """The longest term's name."""
    return max(self._fields, key=lambda name: getattr(self, name))


def estimate(program: Measures, chip: Chip, chips: int) -> Estimate:
  """The step of `program` on `chips` chips."""
  sent = sum(_sent(kind, chips) * found.bytes for kind, found in program.collectives.items())
  return Estimate(program.flops / chip.flops, program.bytes / chip.bandwidth, sent / chip.links)


def _sent(kind: str, chips: int) -> float:
  """Bytes that each of `chips` chips sends for each byte of the result, around a ring."""
  around = (chips - 1) / chips
  if kind == "all-reduce":  # a reduce-scatter and an all-gather
    return 2 * around
  return {"reduce-scatter": chips - 1, "collective-permute": 1}.get(kind, around)

"""Estimates the time of a step from its program's work and the chips' published peaks."""

from __future__ import annotations

from typing import NamedTuple

from train.planning.chips import Chip
from train.planning.program_cost import ProgramCost


class StepTime(NamedTuple):
  """Estimated seconds per step, each term at the chip's published peak: a roofline, not a measurement.

  Attributes:
    compute: all operations on the matrix units in bfloat16. TPUs multiply float32 in one bfloat16 pass by
      default, so the term does not depend on the dtype.
    memory: all bytes through the HBM.
    collectives: rings over all links of each chip.
  """

  compute: float
  memory: float
  collectives: float

  @property
  def step(self) -> float:
    """Compute and memory traffic overlap; the collectives follow them."""
    return max(self.compute, self.memory) + self.collectives

  @property
  def bound(self) -> str:
    """The name of the longest term."""
    return max(self._fields, key=lambda name: getattr(self, name))


def estimate_step_time(program: ProgramCost, chip: Chip, chips: int) -> StepTime:
  """Estimates the step of `program` on `chips` chips."""
  sent = sum(_bytes_sent(kind, chips) * collective.bytes for kind, collective in program.collectives.items())
  return StepTime(program.flops / chip.flops, program.bytes / chip.bandwidth, sent / chip.links)


def _bytes_sent(kind: str, chips: int) -> float:
  """Bytes that each of `chips` chips sends around a ring, per byte of the result."""
  around = (chips - 1) / chips
  if kind == "all-reduce":  # a reduce-scatter and an all-gather
    return 2 * around
  return {"reduce-scatter": chips - 1, "collective-permute": 1}.get(kind, around)

"""The plan of one slice, as JSON and as text."""

from __future__ import annotations

from typing import NamedTuple

from train.planning.chips import GIB, Chip, lookup_chip
from train.planning.estimate import StepTime, estimate_step_time
from train.planning.program_cost import ProgramCost


class Plan(NamedTuple):
  """The resources of a step on a slice.

  Attributes:
    topology: the slice.
    chips: in the slice.
    batch: images per chip.
    program: the cost of the step for that batch; None if it does not fit.
    largest: the largest batch per chip that fits; None if it was not searched.
  """

  topology: str
  chips: int
  batch: int
  program: ProgramCost | None
  largest: int | None

  @property
  def chip(self) -> Chip:
    return lookup_chip(self.topology)

  @property
  def estimate(self) -> StepTime:
    return estimate_step_time(self._cost, self.chip, self.chips)

  @property
  def _cost(self) -> ProgramCost:
    assert self.program is not None, "a batch that does not fit has no cost"
    return self.program

  def as_dict(self) -> dict:
    """The plan as JSON; batches are global, seconds are estimates."""
    plan = {"topology": self.topology, "chips": self.chips, "batch": self.batch * self.chips}
    if self.largest is not None:
      plan["largest_batch"] = self.largest * self.chips
    if self.program is None:
      return {**plan, "fits": False}
    collectives = {kind: c._asdict() for kind, c in self.program.collectives.items()}
    return {
      **plan,
      "fits": True,
      "memory_per_chip": self.program.memory,
      "alive_per_chip": self.program.alive,
      "flops_per_chip": self.program.flops,
      "bytes_per_chip": self.program.bytes,
      "collectives": collectives,
      "estimated_seconds": {**self.estimate._asdict(), "step": self.estimate.step},
    }

  def __str__(self) -> str:
    head = f"{self.topology}: {self.chips} chips, batch {self.batch * self.chips} ({self.batch} per chip)"
    lines = [head, *(self._format_cost() if self.program else ["  memory       does not fit"])]
    if self.largest is not None:
      lines.append(f"  largest      batch {self.largest * self.chips} ({self.largest} per chip) fits")
    return "\n".join(lines)

  def _format_cost(self) -> list[str]:
    program, time = self._cost, self.estimate
    counts = [f"{c.count} {kind} {_format_mb(c.bytes)}" for kind, c in program.collectives.items()]
    parts = (
      f"{_format_mb(program.arguments)} state and batch, {_format_mb(program.temporaries)} temporaries, "
      f"{_format_mb(program.code)} program"
    )
    terms = (
      f"the larger of {_format_ms(time.compute)} compute and {_format_ms(time.memory)} memory, plus "
      f"{_format_ms(time.collectives)} collectives"
    )
    rate = self.batch * self.chips / time.step
    return [
      f"  memory       {program.memory / GIB:.2f} of {self.chip.memory / GIB:.0f} GiB per chip: {parts}; "
      f"{_format_mb(program.alive)} alive at once, on-chip memory included",
      f"  work         {program.flops / 1e9:,.1f} GFLOP and {program.bytes / 1e9:.1f} GB moved per chip",
      f"  collectives  {', '.join(counts) or 'none'}",
      f"  estimate     {_format_ms(time.step)} per step, {rate:,.0f} images/s: {terms}",
    ]


def _format_mb(count: int) -> str:
  return f"{count / 1e6:.1f} MB"


def _format_ms(seconds: float) -> str:
  return f"{seconds * 1e3:.2f} ms"

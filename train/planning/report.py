"""A plan for one slice, and how it is shown."""

from __future__ import annotations

from typing import NamedTuple

from train.planning.chips import GIB, Chip, chip_of
from train.planning.compiled import Measures
from train.planning.estimate import Estimate, estimate


class Plan(NamedTuple):
  """What a step needs on a slice.

  Attributes:
    topology: of the slice.
    chips: in it.
    batch: images a chip.
    program: the step for that batch, None where it does not fit.
    largest: images a chip that fit, None where they were not searched for.
  """

  topology: str
  chips: int
  batch: int
  program: Measures | None
  largest: int | None

  @property
  def chip(self) -> Chip:
    return chip_of(self.topology)

  @property
  def estimate(self) -> Estimate:
    return estimate(self.program, self.chip, self.chips)

  def as_dict(self) -> dict:
    """As JSON has it; batches are global, seconds are estimates."""
    found = {"topology": self.topology, "chips": self.chips, "batch": self.batch * self.chips}
    if self.largest is not None:
      found["largest_batch"] = self.largest * self.chips
    if self.program is None:
      return {**found, "fits": False}
    collectives = {kind: c._asdict() for kind, c in self.program.collectives.items()}
    return {
      **found,
      "fits": True,
      "memory_per_chip": self.program.memory,
      "alive_per_chip": self.program.alive,
      "flops_per_chip": self.program.flops,
      "bytes_per_chip": self.program.bytes,
      "collectives": collectives,
      "estimated_seconds": {**self.estimate._asdict(), "step": self.estimate.step},
    }

  def __str__(self) -> str:
    head = f"{self.topology}: {self.chips} chips, batch {self.batch * self.chips} ({self.batch} a chip)"
    lines = [head, *(self._needs() if self.program else ["  memory       does not fit"])]
    if self.largest is not None:
      lines.append(f"  largest      batch {self.largest * self.chips} ({self.largest} a chip) fits")
    return "\n".join(lines)

  def _needs(self) -> list[str]:
    p, t = self.program, self.estimate
    kinds = ", ".join(f"{c.count} {kind} {_mb(c.bytes)}" for kind, c in p.collectives.items()) or "none"
    parts = f"{_mb(p.arguments)} state and batch, {_mb(p.temporaries)} temporaries, {_mb(p.code)} program"
    rate = self.batch * self.chips / t.step
    return [
      f"  memory       {p.memory / GIB:.2f} of {self.chip.memory / GIB:.0f} GiB a chip: {parts}; "
      f"{_mb(p.alive)} alive at once, on-chip memory included",
      f"  a step       {p.flops / 1e9:,.1f} GFLOP and {p.bytes / 1e9:.1f} GB moved, a chip",
      f"  collectives  {kinds}",
      f"  estimate     {_ms(t.step)} a step, {rate:,.0f} images/s: the larger of {_ms(t.compute)} computing "
      f"and {_ms(t.memory)} memory, and {_ms(t.collectives)} collectives",
    ]


def _mb(count: int) -> str:
  return f"{count / 1e6:.1f} MB"


def _ms(seconds: float) -> str:
  return f"{seconds * 1e3:.2f} ms"

"""Reads memory, work and collectives from a compiled program."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import jax


class Collective(NamedTuple):
  """The collectives of one kind: the number of instructions, and the bytes of their results on one chip."""

  count: int
  bytes: int


class ProgramCost(NamedTuple):
  """The cost of one compiled step on one chip.

  Attributes:
    arguments: bytes of the state and the batch.
    outputs: bytes of the new state and metrics; `aliased` of them reuse the arguments' memory (donated).
    temporaries: bytes of the largest set of other arrays alive at once.
    code: bytes of the program.
    alive: bytes of the arrays that are alive at once, including the state, as the TPU's compiler reports it.
      It evidently includes arrays in on-chip memory (VMEM): in small programs it exceeds `memory`, which is
      only of the HBM and includes the gaps between arrays. Other compilers report something else.
    flops: floating-point operations per step, as the compiler counts them.
    bytes: read and written by all operations per step, in any memory, as the compiler counts them.
    collectives: by kind.
  """

  arguments: int
  outputs: int
  aliased: int
  temporaries: int
  code: int
  alive: int
  flops: float
  bytes: float
  collectives: dict[str, Collective]

  @property
  def memory(self) -> int:
    """Bytes of a TPU's HBM that the program reserves."""
    return self.arguments + self.outputs - self.aliased + self.temporaries + self.code


def measure_program(compiled: jax.stages.Compiled, trip_count: int = 1) -> ProgramCost:
  """Reads the cost of a compiled program.

  Args:
    trip_count: of its loop, that of gradient accumulation. The compiler counts a loop's body once and
      reports one sum, so the work of the whole step is multiplied, including the small share of the update.
  """
  memory, cost, text = compiled.memory_analysis(), compiled.cost_analysis(), compiled.as_text()
  assert memory is not None, "the compiler reports no memory"
  assert cost is not None, "the compiler reports no cost"
  assert text is not None, "the compiler returns no text"
  return ProgramCost(
    memory.argument_size_in_bytes,
    memory.output_size_in_bytes,
    memory.alias_size_in_bytes,
    memory.temp_size_in_bytes,
    memory.generated_code_size_in_bytes,
    memory.peak_memory_in_bytes,
    trip_count * cost["flops"],
    trip_count * cost["bytes accessed"],
    count_collectives(text, trip_count),
  )


_KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_INSTRUCTION = re.compile(rf"^\s*(?:ROOT )?%?[\w.-]+ = (.+?) ({'|'.join(_KINDS)})(-start)?\(", re.MULTILINE)
_ARRAY = re.compile(r"\b(pred|[a-z]+(\d+)\w*)\[([\d,]*)\]")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.-]+) \(.*?^}", re.MULTILINE | re.DOTALL)
_LOOP_BODY = re.compile(r" while\(.*?body=%?([\w.-]+)")
_CALLED = re.compile(r"(?:calls|to_apply|body|condition)=%?([\w.-]+)")


def count_collectives(text: str, trip_count: int = 1) -> dict[str, Collective]:
  """Counts the collectives in the text of an optimized program, by kind.

  An asynchronous collective is counted where it starts. Its result there is (operands, results), except for
  all-reduce.

  Args:
    trip_count: how often a collective in a loop is counted.
  """
  in_loops = _loop_computations(text)
  totals: dict[str, Collective] = {}
  for computation in _COMPUTATION.finditer(text):
    times = trip_count if computation[1] in in_loops else 1
    for result, kind, start in _INSTRUCTION.findall(computation[0]):
      count, size = totals.get(kind, (0, 0))
      totals[kind] = Collective(count + times, size + times * _result_bytes(result, kind, start))
  return totals


def _loop_computations(text: str) -> set[str]:
  """The names of the computations that run inside a loop."""
  called = {match[1]: set(_CALLED.findall(match[0])) for match in _COMPUTATION.finditer(text)}
  inside, new = set(), set(_LOOP_BODY.findall(text))
  while new:
    inside |= new
    new = set().union(*(called.get(name, set()) for name in new)) - inside
  return inside


def _result_bytes(arrays: str, kind: str, start: str) -> int:
  sizes = [_array_bytes(*array) for array in _ARRAY.findall(arrays)]
  if start and kind != "all-reduce":
    sizes = [size for size in sizes if size > 4]  # without the semaphores
    sizes = sizes[len(sizes) // 2 :]
  return sum(sizes)


def _array_bytes(dtype: str, bits: str, shape: str) -> int:
  elements = math.prod(int(side) for side in shape.split(",") if side)
  return math.ceil(elements * (int(bits) if bits else 8) / 8)

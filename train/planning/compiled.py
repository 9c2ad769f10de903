"""What can be read from one compiled program."""

from __future__ import annotations

import math
import re
from typing import NamedTuple


class Collective(NamedTuple):
  """The collectives of one kind: how many instructions, and bytes of their results on one chip."""

  count: int
  bytes: int


class Measures(NamedTuple):
  """Of one compiled step, on one chip.

  Attributes:
    arguments: bytes of the state and the batch.
    outputs: bytes of the new state and metrics, `aliased` of them in the arguments' place (donated).
    temporaries: bytes of the largest set of other arrays alive at once.
    code: bytes of the program.
    alive: bytes of the arrays alive at once, the state's included, as the TPU's compiler reports it. It
      evidently counts those in on-chip memory (VMEM), too: in small programs it exceeds `memory`, which is of
      the HBM alone and has the gaps between arrays besides. Other compilers report something else.
    flops: floating-point operations a step, as the compiler counts them.
    bytes: read and written by all its operations a step, in whatever memory, as the compiler counts them.
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
    """Bytes in all, of a TPU's HBM."""
    return self.arguments + self.outputs - self.aliased + self.temporaries + self.code


def measures(compiled, loop: int = 1) -> Measures:
  """Of a `jax.stages.Compiled`.

  Args:
    loop: how often its loop turns, that of gradient accumulation. The compiler counts the inside of a loop
      once and gives one sum: all of the step's work is multiplied, the update's small share too.
  """
  memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
  return Measures(
    memory.argument_size_in_bytes,
    memory.output_size_in_bytes,
    memory.alias_size_in_bytes,
    memory.temp_size_in_bytes,
    memory.generated_code_size_in_bytes,
    memory.peak_memory_in_bytes,
    loop * cost["flops"],
    loop * cost["bytes accessed"],
    collectives(compiled.as_text(), loop),
  )


_KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_INSTRUCTION = re.compile(rf"^\s*(?:ROOT )?%?[\w.-]+ = (.+?) ({'|'.join(_KINDS)})(-start)?\(", re.MULTILINE)
_ARRAY = re.compile(r"\b(pred|[a-z]+(\d+)\w*)\[([\d,]*)\]")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.-]+) \(.*?^}", re.MULTILINE | re.DOTALL)
_BODY = re.compile(r" while\(.*?body=%?([\w.-]+)")
_CALLED = re.compile(r"(?:calls|to_apply|body|condition)=%?([\w.-]+)")


def collectives(text: str, loop: int = 1) -> dict[str, Collective]:
  """Collectives by kind in the text of an optimised program.

  An asynchronous one counts where it starts. Its result there is (operands, results) but for all-reduce.

  Args:
    loop: how often those inside a loop count.
  """
  inside = _inside_loops(text)
  found: dict[str, Collective] = {}
  for computation in _COMPUTATION.finditer(text):
    times = loop if computation[1] in inside else 1
    for result, kind, start in _INSTRUCTION.findall(computation[0]):
      count, size = found.get(kind, (0, 0))
      found[kind] = Collective(count + times, size + times * _result(result, kind, start))
  return found


def _inside_loops(text: str) -> set[str]:
  """Names of the computations that loops repeat."""
  called = {found[1]: set(_CALLED.findall(found[0])) for found in _COMPUTATION.finditer(text)}
  inside, new = set(), set(_BODY.findall(text))
  while new:
    inside |= new
    new = set().union(*(called.get(name, set()) for name in new)) - inside
  return inside


def _result(arrays: str, kind: str, start: str) -> int:
  sizes = [_bytes(*array) for array in _ARRAY.findall(arrays)]
  if start and kind != "all-reduce":
    sizes = [size for size in sizes if size > 4]  # without the semaphores
    sizes = sizes[len(sizes) // 2 :]
  return sum(sizes)


def _bytes(dtype: str, bits: str, shape: str) -> int:
  elements = math.prod(int(side) for side in shape.split(",") if side)
  return math.ceil(elements * (int(bits) if bits else 8) / 8)

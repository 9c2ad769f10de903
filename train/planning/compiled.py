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
    flops: floating-point operations a step, as the compiler counts them.
    bytes: read and written by all its operations a step, in whatever memory, as the compiler counts them.
    collectives: by kind.
  """

  arguments: int
  outputs: int
  aliased: int
  temporaries: int
  code: int
  flops: float
  bytes: float
  collectives: dict[str, Collective]

  @property
  def memory(self) -> int:
    """Bytes in all."""
    return self.arguments + self.outputs - self.aliased + self.temporaries + self.code


def measures(compiled) -> Measures:
  """Of a `jax.stages.Compiled`."""
  memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
  return Measures(
    memory.argument_size_in_bytes,
    memory.output_size_in_bytes,
    memory.alias_size_in_bytes,
    memory.temp_size_in_bytes,
    memory.generated_code_size_in_bytes,
    cost["flops"],
    cost["bytes accessed"],
    collectives(compiled.as_text()),
  )


_KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_INSTRUCTION = re.compile(rf"^\s*(?:ROOT )?%?[\w.-]+ = (.+?) ({'|'.join(_KINDS)})(-start)?\(", re.MULTILINE)
_ARRAY = re.compile(r"\b(pred|[a-z]+(\d+)\w*)\[([\d,]*)\]")


def collectives(text: str) -> dict[str, Collective]:
  """Collectives by kind in the text of an optimised program.

  An asynchronous one counts where it starts. Its result there is (operands, results) but for all-reduce.
  """
  found: dict[str, Collective] = {}
  for result, kind, start in _INSTRUCTION.findall(text):
    arrays = [_bytes(*array) for array in _ARRAY.findall(result)]
    if start and kind != "all-reduce":
      arrays = [size for size in arrays if size > 4]  # without the semaphores
      arrays = arrays[len(arrays) // 2 :]
    count, size = found.get(kind, (0, 0))
    found[kind] = Collective(count + 1, size + sum(arrays))
  return found


def _bytes(dtype: str, bits: str, shape: str) -> int:
  elements = math.prod(int(side) for side in shape.split(",") if side)
  return math.ceil(elements * (int(bits) if bits else 8) / 8)

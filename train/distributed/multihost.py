"""Communication between processes, usually one a host: what all agree on, and what the primary does alone.

Every function here but `is_primary` is collective: all processes call it at the same point of the program.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

_T = TypeVar("_T")


class RemoteProcessError(OSError):
  """Another process failed."""


def is_primary() -> bool:
  """Whether this is process 0, which writes the run's files."""
  return jax.process_index() == 0


def gather(value) -> list:
  """The values of all processes, in their order; `value` is anything that JSON can hold."""
  if jax.process_count() == 1:
    return [value]
  text = np.frombuffer(json.dumps(value).encode(), np.uint8)
  sizes = multihost_utils.process_allgather(np.array(text.size, np.int32))
  padded = np.zeros(sizes.max(), np.uint8)
  padded[: text.size] = text
  texts = multihost_utils.process_allgather(padded)
  return [json.loads(bytes(row[:size])) for row, size in zip(texts, sizes, strict=True)]


def all_or_raise(function: Callable[[], _T]) -> _T:
  """Returns `function()`; where it fails in any process, raises in all of them.

  Raises:
    RemoteProcessError: it failed in another process; the message says where and why.
    ValueError, OSError, ArithmeticError: it failed here.
  """
  try:
    result = function()
  except (ValueError, OSError, ArithmeticError) as error:
    gather(f"{error} ({type(error).__name__})")
    raise
  messages = gather(None)
  for index, message in enumerate(messages):
    if message:
      raise RemoteProcessError(f"process {index} of {len(messages)}: {message}")
  return result


def on_primary(function: Callable, *arguments):
  """Calls `function(*arguments)` in the primary alone; all processes return its result.

  The result is anything that JSON can hold.

  Raises:
    RemoteProcessError, ValueError, OSError, ArithmeticError: as `all_or_raise`.
  """
  return gather(all_or_raise(lambda: function(*arguments) if is_primary() else None))[0]


def broadcast(function: Callable, like):
  """The tree of arrays that `function()` returns in the primary, bit for bit in all processes, or None.

  Args:
    like: a tree of arrays of the same shapes and dtypes.
  """
  result = all_or_raise(lambda: function() if is_primary() else None)
  if jax.process_count() == 1 or gather(result is not None)[0] is False:
    return result
  # As bytes: a broadcast by sums with zeros would lose the sign of -0.
  leaves, structure = jax.tree.flatten(result if is_primary() else like)
  arrays = [np.asarray(leaf, order="C") for leaf in leaves]
  received = multihost_utils.broadcast_one_to_all([array.reshape(-1).view(np.uint8) for array in arrays])
  return structure.unflatten(
    np.asarray(x).view(array.dtype).reshape(array.shape) for x, array in zip(received, arrays, strict=True)
  )


def assert_same(facts: dict[str, str]) -> None:
  """Refuses processes that would not train the same.

  Args:
    facts: what has to be the same in all processes, by name.

  Raises:
    ValueError: names what differs from process 0, and where.
  """
  all_facts = gather(facts)
  names = sorted({name for other in all_facts for name in other})  # a field may be missing in some
  differences = [
    f"{name}: {other.get(name)} in process {index}, {all_facts[0].get(name)} in process 0"
    for index, other in enumerate(all_facts)
    for name in names
    if other.get(name) != all_facts[0].get(name)
  ]
  if differences:
    raise ValueError(
      f"the processes differ; all need the same code, config and data. {'; '.join(differences)}"
    )

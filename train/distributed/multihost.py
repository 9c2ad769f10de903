"""Several processes, usually one a host: agreeing, and what the first one does alone.

Every function here but `first` is called by all processes at the same point of the program.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils


class OtherHost(OSError):
  """Another process ended with an error."""


def first() -> bool:
  """Whether this process is the one that writes."""
  return jax.process_index() == 0


def gather(value) -> list:
  """The values, anything that JSON knows, of all processes."""
  if jax.process_count() == 1:
    return [value]
  text = np.frombuffer(json.dumps(value).encode(), np.uint8)
  sizes = multihost_utils.process_allgather(np.array(text.size, np.int32))
  padded = np.zeros(sizes.max(), np.uint8)
  padded[: text.size] = text
  texts = multihost_utils.process_allgather(padded)
  return [json.loads(bytes(row[:size])) for row, size in zip(texts, sizes, strict=True)]


def together(function: Callable):
  """What `function()` returns; where it fails in any process, it fails in all.

  Raises:
    OtherHost: it failed elsewhere; the message says where and why.
    ValueError, OSError, ArithmeticError: it failed here.
  """
  result = error = None
  try:
    result = function()
  except (ValueError, OSError, ArithmeticError) as caught:
    error = caught
  told = gather(error and f"{error} ({type(error).__name__})")
  if error:
    raise error
  for index, text in enumerate(told):
    if text:
      raise OtherHost(f"process {index} of {len(told)}: {text}")
  return result


def on_first(function: Callable, *arguments):
  """What `function(*arguments)` returns, anything that JSON knows, in the first process alone.

  Raises:
    OtherHost, ValueError, OSError, ArithmeticError: as `together`.
  """
  return gather(together(lambda: function(*arguments) if first() else None))[0]


def share(function: Callable, like):
  """The tree of arrays that `function()` returns in the first process, bit for bit, or None.

  Args:
    like: a tree of arrays of the same shapes and dtypes.
  """
  found = together(lambda: function() if first() else None)
  if jax.process_count() == 1 or gather(found is not None)[0] is False:
    return found
  # As bytes: sums of which the others are zeros would lose the sign of -0.
  leaves, structure = jax.tree.flatten(found if first() else like)
  arrays = [np.asarray(leaf, order="C") for leaf in leaves]
  told = multihost_utils.broadcast_one_to_all([array.reshape(-1).view(np.uint8) for array in arrays])
  return structure.unflatten(
    np.asarray(x).view(array.dtype).reshape(array.shape) for x, array in zip(told, arrays, strict=True)
  )


def check_same(facts: dict[str, str]) -> None:
  """Refuses processes that would not train the same.

  Args:
    facts: what has to be the same, by name.

  Raises:
    ValueError: names what differs from the first process, and where.
  """
  everyone = gather(facts)
  differ = [
    f"{name}: {other[name]} in process {index}, {value} in process 0"
    for index, other in enumerate(everyone)
    for name, value in everyone[0].items()
    if other[name] != value
  ]
  if differ:
    raise ValueError(f"the processes differ; all need the same code, config and data. {'; '.join(differ)}")

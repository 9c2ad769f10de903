"""Several processes, usually one a host: joining them, agreeing, and what the first one does alone.

Every function here but `join` and `first` is called by all processes at the same point of the program.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

KINDS = ("auto", "alone", "explicit", "slurm", "ompi", "tpu")
_LAST = 1.0
"""Seconds for the others' last words, which end when the first process does."""

_EXPLICIT = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


class OtherHost(OSError):
  """Another process ended with an error."""


def join(kind: str) -> None:
  """Makes this process one of several, before JAX touches a device.

  Args:
    kind: "explicit": JAX_COORDINATOR_ADDRESS (host:port of the first process), JAX_NUM_PROCESSES and
      JAX_PROCESS_ID say which; "slurm", "ompi" and "tpu": JAX asks the cluster; "alone": it is not;
      "auto": what the environment shows, explicit first.

  Raises:
    ValueError: another kind, or an environment that does not fit it.
  """
  if kind not in KINDS:
    raise ValueError(f"hosts: expected one of {', '.join(KINDS)}, got {kind!r}")
  kind = detected() if kind == "auto" else kind
  if kind == "alone":
    return
  options = _explicit() if kind == "explicit" else {}
  method = {"slurm": "slurm", "ompi": "ompi"}.get(kind)  # JAX tells the kinds of TPU clusters apart
  before = signal.getsignal(signal.SIGTERM)
  try:
    jax.distributed.initialize(**options, cluster_detection_method=method)
  except (ValueError, RuntimeError, TypeError) as error:
    raise ValueError(f"hosts: {kind}: this process cannot join the others: {error}") from error
  # JAX takes SIGTERM for itself; until the loop listens it is to end the process.
  signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def joined(kind: str) -> Iterator[None]:
  """`join`; an error that ends this process does not wait for the others, which would wait for it."""
  join(kind)
  try:
    yield
  except BaseException as error:
    if jax.process_count() == 1:
      raise
    text = error.code if isinstance(error, SystemExit) else traceback.format_exc()
    if isinstance(error, jax.errors.JaxRuntimeError):
      text = f"error: {str(error)[:500]}\nIf another process ended, its own message says why."
    print(f"process {jax.process_index()}: {text}", file=sys.stderr, flush=True)
    if first():
      time.sleep(_LAST)
    os._exit(1)


def detected() -> str:
  """The kind that the environment shows."""
  environment = os.environ
  if _EXPLICIT[0] in environment:
    return "explicit"
  if "SLURM_STEP_NODELIST" in environment and int(environment.get("SLURM_NTASKS", 1)) > 1:
    return "slurm"
  if int(environment.get("OMPI_COMM_WORLD_SIZE", 1)) > 1:
    return "ompi"
  # Importing JAX leaves this where there are TPU chips.
  return "tpu" if environment.get("TPU_ML_PLATFORM") == "JAX" else "alone"


def _explicit() -> dict:
  values = [os.environ.get(name, "") for name in _EXPLICIT]
  given = ", ".join(f"{name}={value}" for name, value in zip(_EXPLICIT, values, strict=True))
  address, count, index = values
  if not (":" in address and count.isdigit() and index.isdigit() and int(index) < int(count)):
    raise ValueError(f"hosts: explicit: expected an address HOST:PORT, a number and an index, got {given}")
  return {"coordinator_address": address, "num_processes": int(count), "process_id": int(index)}


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

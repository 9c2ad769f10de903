"""Joining: several processes, usually one a host, find each other before JAX touches a device."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator

import jax

from train.distributed.multihost import first

CLUSTERS = ("auto", "single", "explicit", "slurm", "ompi", "tpu")
_TELL = 30.0
"""Seconds between lines that say what is waited for."""

_LAST = 1.0
"""Seconds for the others' last words, which end when the first process does."""

_EXPLICIT = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def join(kind: str, wait: int = 300) -> None:
  """Makes this process one of several, before JAX touches a device.

  Args:
    kind: "explicit": JAX_COORDINATOR_ADDRESS (host:port of the first process), JAX_NUM_PROCESSES and
      JAX_PROCESS_ID say which; "HOST:PORT,COUNT,INDEX": the same, said here; "slurm", "ompi" and "tpu": JAX
      asks the cluster; "single": it is not; "auto": what the environment shows, explicit first.
    wait: seconds for all processes to come; then this one ends.

  Raises:
    ValueError: another kind, or an environment that does not fit it.
  """
  if kind not in CLUSTERS and "," not in kind:
    raise ValueError(f"cluster: expected one of {', '.join(CLUSTERS)} or HOST:PORT,COUNT,INDEX, got {kind!r}")
  kind = detected() if kind == "auto" else kind
  if kind == "single":
    return
  options = _explicit(kind) if kind == "explicit" or "," in kind else {}
  method = {"slurm": "slurm", "ompi": "ompi"}.get(kind)  # JAX tells the kinds of TPU clusters apart
  before = signal.getsignal(signal.SIGTERM)
  try:
    with _waiting(kind, options, wait):
      # JAX ends a process that waits in vain by a dump of its stack: this one is to be faster.
      jax.distributed.initialize(**options, cluster_detection_method=method, initialization_timeout=wait + 60)
  except (ValueError, RuntimeError, TypeError, KeyError) as error:  # KeyError: of SLURM's variables
    raise ValueError(f"cluster: {kind}: this process cannot join the others: {error}") from error
  # JAX takes SIGTERM for itself; until the loop listens it is to end the process.
  signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _waiting(kind: str, options: dict, wait: int) -> Iterator[None]:
  """Tells every now and then what is waited for, and ends the process after `wait` seconds."""
  came = threading.Event()
  who = f"process {options['process_id']} of {options['num_processes']}" if options else f"a process ({kind})"
  where = f" at {options['coordinator_address']}" if options else ""

  def watch() -> None:
    began = time.monotonic()
    while not came.wait(min(_TELL, max(0.0, began + wait - time.monotonic()))):
      waited = time.monotonic() - began
      if waited >= wait:
        print(f"error: {who} waited {wait} s for the others{where}. Do all run, with the same address and "
              "number, and can they reach it?", file=sys.stderr, flush=True)  # fmt: skip
        os._exit(1)
      print(f"{who} waits for the others{where} since {waited:.0f} s", file=sys.stderr, flush=True)

  thread = threading.Thread(target=watch, daemon=True)
  thread.start()
  try:
    yield
  finally:
    came.set()
    thread.join()


def set_deterministic() -> None:
  """Sets XLA's flag for the same bits in every run on a GPU. To be called before JAX's backend starts."""
  os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_deterministic_ops=true"


@contextlib.contextmanager
def joined(kind: str, wait: int = 300) -> Iterator[None]:
  """`join`; an error that ends this process does not wait for the others, which would wait for it."""
  join(kind, wait)
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
  return "tpu" if environment.get("TPU_ML_PLATFORM") == "JAX" else "single"


def _explicit(kind: str) -> dict:
  """Arguments of `jax.distributed.initialize`, of "HOST:PORT,COUNT,INDEX" or the environment."""
  if "," in kind:
    values, given = kind.split(",") if kind.count(",") == 2 else [""] * 3, repr(kind)
  else:
    values = [os.environ.get(name, "") for name in _EXPLICIT]
    given = ", ".join(f"{name}={value}" for name, value in zip(_EXPLICIT, values, strict=True))
  address, count, index = values
  host, _, port = address.rpartition(":")
  numbers = (port, count, index)
  if not (host and all(map(str.isdecimal, numbers)) and int(port) < 2**16 and int(index) < int(count)):
    raise ValueError(f"cluster: expected an address HOST:PORT, a number and an index below it, got {given}")
  if int(index) == 0:
    _check_free(int(port))
  return {"coordinator_address": address, "num_processes": int(count), "process_id": int(index)}


def _check_free(port: int) -> None:
  """The first process listens there; where another program does, JAX would crash."""
  try:
    with socket.create_server(("", port)):
      pass
  except OSError as error:
    raise ValueError(f"cluster: port {port} cannot be listened at ({error}): choose another") from error

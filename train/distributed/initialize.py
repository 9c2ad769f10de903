"""Initializes several processes, usually one a host, before JAX touches a device."""

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

from train.distributed.multihost import is_primary

CLUSTERS = ("auto", "single", "explicit", "slurm", "ompi", "tpu")
_REPORT_SECONDS = 30.0
"""Between lines that say what this process waits for."""

_EXIT_DELAY = 1.0
"""Seconds that the primary gives the others to print their errors: they end when it does."""

_EXPLICIT = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def initialize(cluster: str, timeout: int = 300) -> None:
  """Calls `jax.distributed.initialize` where several processes belong together.

  Args:
    cluster: "explicit": JAX_COORDINATOR_ADDRESS (host:port of process 0), JAX_NUM_PROCESSES and
      JAX_PROCESS_ID; "HOST:PORT,COUNT,INDEX": the same as one string; "slurm", "ompi" and "tpu": JAX asks the
      cluster; "single": one process; "auto": what the environment shows, "explicit" first.
    timeout: seconds to wait for all processes; then this one exits.

  Raises:
    ValueError: an unknown cluster, or an environment that does not fit it.
  """
  if cluster not in CLUSTERS and "," not in cluster:
    expected = f"one of {', '.join(CLUSTERS)} or HOST:PORT,COUNT,INDEX"
    raise ValueError(f"cluster: expected {expected}, got {cluster!r}")
  cluster = detect_cluster() if cluster == "auto" else cluster
  if cluster == "single":
    return
  options = _explicit_options(cluster) if cluster == "explicit" or "," in cluster else {}
  method = cluster if cluster in ("slurm", "ompi") else None  # JAX tells the kinds of TPU clusters apart
  handler = signal.getsignal(signal.SIGTERM)
  try:
    with _exit_after(cluster, options, timeout):
      # At its own timeout JAX aborts with a dump of the stack: the watchdog comes before it.
      options["initialization_timeout"] = timeout + 60
      jax.distributed.initialize(**options, cluster_detection_method=method)
  except (ValueError, RuntimeError, TypeError, KeyError) as error:  # KeyError: of SLURM's variables
    raise ValueError(f"cluster: {cluster}: this process cannot join the others: {error}") from error
  # JAX installs a SIGTERM handler; until the loop installs its own, SIGTERM must end the process.
  signal.signal(signal.SIGTERM, handler)


@contextlib.contextmanager
def _exit_after(cluster: str, options: dict, timeout: int) -> Iterator[None]:
  """Reports now and then what the block waits for, and exits the process after `timeout` seconds."""
  done = threading.Event()
  process = (
    f"process {options['process_id']} of {options['num_processes']}" if options else f"a process ({cluster})"
  )
  where = f" at {options['coordinator_address']}" if options else ""

  def watch() -> None:
    started = time.monotonic()
    while not done.wait(min(_REPORT_SECONDS, max(0.0, started + timeout - time.monotonic()))):
      waited = time.monotonic() - started
      if waited >= timeout:
        question = "Do all run, with the same address and number, and can they reach it?"
        text = f"error: {process} waited {timeout} s for the others{where}. {question}"
        print(text, file=sys.stderr, flush=True)
        os._exit(1)
      print(f"{process} has waited {waited:.0f} s for the others{where}", file=sys.stderr, flush=True)

  thread = threading.Thread(target=watch, daemon=True)
  thread.start()
  try:
    yield
  finally:
    done.set()
    thread.join()


def set_deterministic() -> None:
  """Sets XLA's flag for the same bits in every run on a GPU. Call it before JAX's backend starts."""
  os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_deterministic_ops=true"


@contextlib.contextmanager
def process_group(cluster: str, timeout: int = 300) -> Iterator[None]:
  """`initialize`; an error in the block exits at once.

  A normal exit would wait for the other processes, which wait for this one.
  """
  initialize(cluster, timeout)
  try:
    yield
  except BaseException as error:
    if jax.process_count() == 1:
      raise
    text = error.code if isinstance(error, SystemExit) else traceback.format_exc()
    if isinstance(error, jax.errors.JaxRuntimeError):
      text = f"error: {str(error)[:500]}\nIf another process ended, its own message says why."
    print(f"process {jax.process_index()}: {text}", file=sys.stderr, flush=True)
    if is_primary():
      time.sleep(_EXIT_DELAY)
    os._exit(1)


def detect_cluster() -> str:
  """The entry of `CLUSTERS` that the environment shows."""
  environment = os.environ
  if _EXPLICIT[0] in environment:
    return "explicit"
  if "SLURM_STEP_NODELIST" in environment and int(environment.get("SLURM_NTASKS", 1)) > 1:
    return "slurm"
  if int(environment.get("OMPI_COMM_WORLD_SIZE", 1)) > 1:
    return "ompi"
  # JAX sets this at import where there are TPU chips.
  return "tpu" if environment.get("TPU_ML_PLATFORM") == "JAX" else "single"


def _explicit_options(cluster: str) -> dict:
  """Arguments of `jax.distributed.initialize`, from "HOST:PORT,COUNT,INDEX" or the environment."""
  if "," in cluster:
    values, given = cluster.split(",") if cluster.count(",") == 2 else [""] * 3, repr(cluster)
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
  """Refuses a port in use: process 0 listens there, and JAX would crash."""
  try:
    with socket.create_server(("", port)):
      pass
  except OSError as error:
    raise ValueError(f"cluster: port {port} cannot be listened at ({error}): choose another") from error

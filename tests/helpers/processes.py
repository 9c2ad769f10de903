"""Starts a training in several processes on this machine, as on several hosts."""

from __future__ import annotations

import pathlib
import socket
import subprocess

from tests.helpers import quick_compilation
from tests.helpers.training import OVERRIDES, program


def free_port() -> int:
  with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    return listener.getsockname()[1]


def command(workdir: pathlib.Path, arg: str = "runlocal", **overrides) -> list[str]:
  """The words after python -m; `arg` of the quick start's config, overrides as "data__crop" for data.crop."""
  changes = {**OVERRIDES, **{key.replace("__", "."): value for key, value in overrides.items()}}
  flags = [f"--config.{key}={value}" for key, value in changes.items()]
  return ["train", f"--config=configs/quickstart.py:{arg}", f"--workdir={workdir}", *flags]


def launch(commands: list[list[str]], devices: int, **environment: str) -> list[subprocess.Popen]:
  """Starts one process a command, each with `devices` simulated CPU devices, as one training."""
  address = f"127.0.0.1:{free_port()}"
  return [
    program(
      words,
      XLA_FLAGS=f"{quick_compilation.flags()} --xla_force_host_platform_device_count={devices}",
      JAX_COORDINATOR_ADDRESS=address,
      JAX_NUM_PROCESSES=str(len(commands)),
      JAX_PROCESS_ID=str(index),
      **environment,
    )
    for index, words in enumerate(commands)
  ]


def finish(processes: list[subprocess.Popen], limit: float = 600.0) -> list[tuple[int, str]]:
  """Waits for the processes; returns the exit status and output of each."""
  outputs = [process.communicate(timeout=limit)[0] for process in processes]
  return [(process.returncode, output) for process, output in zip(processes, outputs, strict=True)]

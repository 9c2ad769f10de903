"""The lock of a workdir: one training at a time."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import pathlib
import shutil
import socket
import time
from collections.abc import Iterator
from typing import IO

from ppool_jax.utils.files import is_file_at

_LOG = logging.getLogger("train")
_TIMEOUT = 5.0
"""Seconds that a process which was killed or interrupted just now may take to end."""


@contextlib.contextmanager
def lock_workdir(workdir: pathlib.Path) -> Iterator[None]:
  """Creates `workdir` and holds its lock; a process that ends in any way releases it.

  The lock is `fcntl.flock` on WORKDIR/.lock, which names its owner. A directory that was created for a
  training which did not start is removed.

  Raises:
    ValueError: another process holds the lock.
    OSError: the directory cannot be created or written.
  """
  file, created = _open_locked(workdir)
  with file:
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}")
    file.flush()
    try:
      yield
    finally:
      if created and (workdir / ".lock").exists() and not (workdir / "config.json").exists():
        shutil.rmtree(workdir, ignore_errors=True)


def _open_locked(workdir: pathlib.Path) -> tuple[IO[str], bool]:
  """Opens and locks WORKDIR/.lock; returns it, and whether the directory was created.

  A training that did not start removes the directory that it created, and the lock of another one that
  waited would be that of a deleted file: the directory is then created anew.
  """
  end = time.monotonic() + _TIMEOUT
  while True:
    created = not workdir.exists()
    try:
      workdir.mkdir(parents=True, exist_ok=True)
      # A link is not followed: the file it names would be truncated.
      descriptor = os.open(workdir / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
      if isinstance(error, FileNotFoundError) and workdir.parent.is_dir() and time.monotonic() < end:
        continue  # the directory was removed in between
      raise OSError(f"workdir {workdir} cannot be written: {error}") from error
    with contextlib.ExitStack() as on_error:
      file = on_error.enter_context(os.fdopen(descriptor, "r+"))
      _acquire(file, workdir)
      if is_file_at(workdir / ".lock", file):
        on_error.pop_all()
        return file, created


def _acquire(file: IO[str], workdir: pathlib.Path) -> None:
  end = time.monotonic() + _TIMEOUT
  while True:
    try:
      return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      if time.monotonic() > end:
        file.seek(0)
        owner = file.read() or "another process"
        raise ValueError(
          f"{workdir} is being trained by {owner}: wait for it, stop it, or choose another --workdir"
        ) from None
      time.sleep(0.1)
    except OSError as error:  # a file system without locks
      return _LOG.warning("%s cannot be locked (%s): start one training there at a time", workdir, error)

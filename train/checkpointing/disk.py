"""What is wrong with a folder that cannot be written, and what to do about it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

LITTLE = 1 << 20  # bytes; a disk with less left is full


class CannotWrite(OSError):
  """A folder cannot be written; the message says why and what to do."""


def fault(folder: pathlib.Path) -> str | None:
  """Why `folder` cannot be written and what to do, or None where nothing is wrong with it."""
  there = _nearest(folder)
  if not there.is_dir():
    return f"{there} is a file, where a folder is expected: move that away"
  if there != folder:
    return "it is not there: mount or restore it, or start again with another --workdir"
  if os.statvfs(folder).f_flag & os.ST_RDONLY:
    return "it is mounted read-only: mount it for writing, or use another --workdir"
  if not os.access(folder, os.W_OK):
    return "this user may not write there: change its permissions, or use another --workdir"
  if shutil.disk_usage(folder).free < LITTLE:
    return "the disk is full: free some space; lower checkpoint.max_to_keep to need less"
  return None


def free(folder: pathlib.Path) -> str:
  """The bytes that are free on the disk of `folder`, or of the nearest folder above that exists."""
  return f"{shutil.disk_usage(_nearest(folder)).free:,} bytes free"


def _nearest(folder: pathlib.Path) -> pathlib.Path:
  return next(path for path in (folder, *folder.parents) if path.exists())


@contextlib.contextmanager
def explained(folder: pathlib.Path) -> Iterator[None]:
  """An OSError in here says what is wrong with `folder`, if anything is.

  Raises:
    CannotWrite: in its place.
  """
  folder = pathlib.Path(folder).resolve()
  try:
    yield
  except CannotWrite:
    raise
  except OSError as error:
    if (why := fault(folder)) is None:
      raise
    raise CannotWrite(f"{folder} cannot be written: {why} ({free(folder)}; {error})") from error

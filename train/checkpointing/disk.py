"""Explains why a directory cannot be written, and what to do about it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

from train.distributed.multihost import RemoteProcessError

MIN_FREE_BYTES = 1 << 20  # a disk with fewer counts as full


class WriteError(OSError):
  """A directory cannot be written; the message says why and what to do."""


def write_problem(folder: pathlib.Path) -> str | None:
  """Why `folder` cannot be written and what to do, or None where nothing is wrong with it."""
  existing = _nearest_existing(folder)
  if not existing.is_dir():
    return f"{existing} is a file, where a folder is expected: move that away"
  if existing != folder:
    return "it is not there: mount or restore it, or start again with another --workdir"
  if os.statvfs(folder).f_flag & os.ST_RDONLY:
    return "it is mounted read-only: mount it for writing, or use another --workdir"
  if not os.access(folder, os.W_OK):
    return "this user may not write there: change its permissions, or use another --workdir"
  if shutil.disk_usage(folder).free < MIN_FREE_BYTES:
    return "the disk is full: free some space; lower checkpoint.max_to_keep to need less"
  return None


def describe_free(folder: pathlib.Path) -> str:
  """The bytes that are free on the disk of `folder`, or of the nearest folder above that exists."""
  return f"{shutil.disk_usage(_nearest_existing(folder)).free:,} bytes free"


def _nearest_existing(folder: pathlib.Path) -> pathlib.Path:
  return next(path for path in (folder, *folder.parents) if path.exists())


@contextlib.contextmanager
def explain_write_errors(folder: pathlib.Path) -> Iterator[None]:
  """Replaces an OSError in the block by one that says what is wrong with `folder`, if anything is.

  Raises:
    WriteError: in place of the OSError.
  """
  folder = pathlib.Path(folder).resolve()
  try:
    yield
  except (WriteError, RemoteProcessError):  # of this directory already, or of another process
    raise
  except OSError as error:
    if (problem := write_problem(folder)) is None:
      raise
    raise WriteError(f"{folder} cannot be written: {problem} ({describe_free(folder)}; {error})") from error

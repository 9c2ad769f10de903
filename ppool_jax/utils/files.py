"""Local paths, atomic writes, digests and identity of files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import re
import uuid
from collections.abc import Iterator
from typing import IO, BinaryIO


def local_path(path: str | os.PathLike) -> pathlib.Path:
  """A path on this machine's file systems, with ~ expanded.

  Raises:
    ValueError: the path is empty, begins with the ~ of an unknown user, or is a URL: "gs://bucket/run" would
      become a folder "gs:" here.
  """
  text = os.fspath(path)
  if not text:
    raise ValueError("expected a path, got ''")
  if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", text):
    raise ValueError(f"expected a path on this machine, got {text!r}: mount it, and give that folder")
  expanded = os.path.expanduser(text)
  if expanded.startswith("~"):
    raise ValueError(f"expected a path, got {text!r}: no such user; write ./{text} for a folder of that name")
  return pathlib.Path(expanded)


def is_file_at(path: str | os.PathLike, file: IO) -> bool:
  """Whether `path` still names the open `file`: another process may have deleted or replaced it."""
  try:
    return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
  except FileNotFoundError:
    return False


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[BinaryIO]:
  """Opens a temporary file in the directory of `path` and renames it to `path` at the end of the block.

  The temporary file is synced to disk before it is renamed, so `path` never names an incomplete file.
  After an error in the block the temporary file is deleted and `path` is unchanged. Several threads and
  processes may write the same path at the same time: each has a temporary file of its own.

  Raises:
    OSError: the file cannot be written.
  """
  path = pathlib.Path(path)
  temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
  try:
    with temporary.open("xb") as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    temporary.replace(path)
  finally:
    temporary.unlink(missing_ok=True)


def file_digest(path: str | os.PathLike, algorithm: str) -> str:
  """The digest of a file's contents in hexadecimal; `algorithm` is a name of `hashlib`, such as "sha256"."""
  with open(path, "rb") as file:
    return hashlib.file_digest(file, algorithm).hexdigest()

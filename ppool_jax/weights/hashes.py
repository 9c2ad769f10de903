"""Hashes of files."""

from __future__ import annotations

import hashlib
import os


def file_hash(path: str | os.PathLike, kind: str) -> str:
  """A file's hash in hexadecimal; `kind` is "md5", "sha1" or "sha256"."""
  with open(path, "rb") as file:
    return hashlib.file_digest(file, kind).hexdigest()

"""JSON files: written whole, and named where they cannot be read or written."""

from __future__ import annotations

import json
import os
import pathlib
import uuid

import numpy as np


def write_json(path: pathlib.Path, content: dict | list) -> None:
  """Written beside, flushed to the disk and renamed: a reader never sees half a file.

  Several processes may write one path at the same time, as each has a draft of its own.
  """
  draft = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.tmp")
  try:
    with draft.open("w") as file:
      file.write(json.dumps(content, indent=2, default=_plain) + "\n")
      file.flush()
      os.fsync(file.fileno())
    draft.replace(path)
  finally:
    draft.unlink(missing_ok=True)


def read_json(path: pathlib.Path, kind: type = dict):
  """The content of a file, a `kind`.

  Raises:
    ValueError: it is not JSON, or something else; the file is named.
    OSError: it cannot be read.
  """
  try:
    content = json.loads(path.read_bytes())
  except ValueError as error:  # of the text's encoding, too
    raise ValueError(f"{path}: expected JSON, but it is not: {error}") from None
  if not isinstance(content, kind):
    raise ValueError(f"{path}: expected a {kind.__name__} in JSON, got {type(content).__name__}")
  return content


def check_out(path: pathlib.Path) -> None:
  """Refuses a path that no file can be written to, before the work that it is for; nothing is made.

  Raises:
    ValueError: a folder or a device, or in a folder that is missing or not writable.
  """
  if path.exists() and not path.is_file():
    raise ValueError(f"{path}: expected a file, but it is {'a folder' if path.is_dir() else 'no plain file'}")
  folder = path.parent
  if not folder.is_dir():
    raise ValueError(f"{path}: expected a file in a folder that is there, but there is no folder {folder}")
  if not os.access(folder, os.W_OK | os.X_OK):
    raise ValueError(f"{path}: expected a file that can be written, but the folder {folder} is not writable")


def _plain(value):
  if isinstance(value, np.generic):
    return value.item()
  raise TypeError(f"{value!r} is not JSON")

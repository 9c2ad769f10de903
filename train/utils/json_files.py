"""Reads and writes JSON files; writes are atomic and errors name the file."""

from __future__ import annotations

import json
import os
import pathlib

import numpy as np

from ppool_jax.utils.files import atomic_write


def write_json(path: pathlib.Path, content: dict | list) -> None:
  """Writes a JSON file atomically; several processes may write the same path at the same time."""
  text = json.dumps(content, indent=2, default=_to_python) + "\n"
  with atomic_write(path) as file:
    file.write(text.encode())


def read_json(path: pathlib.Path, kind: type = dict):
  """Reads a JSON file whose content is a `kind`.

  Raises:
    ValueError: the file is not JSON or its content is not a `kind`; the message names the file.
    OSError: the file cannot be read.
  """
  try:
    content = json.loads(path.read_bytes())
  except ValueError as error:  # json.JSONDecodeError or UnicodeDecodeError
    raise ValueError(f"{path}: expected JSON, but it is not: {error}") from None
  if not isinstance(content, kind):
    raise ValueError(f"{path}: expected a {kind.__name__} in JSON, got {type(content).__name__}")
  return content


def check_output_file(path: pathlib.Path) -> None:
  """Checks that a file can be written to `path`, before the work that produces it; writes nothing.

  Raises:
    ValueError: the path is a folder or a device, or its folder is missing or not writable.
  """
  if path.exists() and not path.is_file():
    raise ValueError(f"{path}: expected a file, but it is {'a folder' if path.is_dir() else 'no plain file'}")
  folder = path.parent
  if not folder.is_dir():
    raise ValueError(f"{path}: expected a file in a folder that is there, but there is no folder {folder}")
  if not os.access(folder, os.W_OK | os.X_OK):
    raise ValueError(f"{path}: expected a file that can be written, but the folder {folder} is not writable")


def _to_python(value):
  if isinstance(value, np.generic):
    return value.item()
  raise TypeError(f"{value!r} is not JSON")

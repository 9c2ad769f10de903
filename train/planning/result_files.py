"""Result files in JSON: whether one can be written, asked before the work that it is for; and reading one."""

from __future__ import annotations

import json
import os
import pathlib


def check_out(path: pathlib.Path) -> None:
  """Refuses a path that no file can be written to; nothing is made.

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


def read_json(path: pathlib.Path) -> dict:
  """The content of a result file.

  Raises:
    ValueError: it is not JSON, or not an object; the file is named.
    OSError: it cannot be read.
  """
  try:
    content = json.loads(path.read_bytes())
  except ValueError as error:  # of the text's encoding, too
    raise ValueError(f"{path}: expected JSON, but it is not: {error}") from None
  if not isinstance(content, dict):
    raise ValueError(f"{path}: expected a JSON object, got {type(content).__name__}")
  return content

"""JSON files of a run: written whole, and named where they cannot be read."""

from __future__ import annotations

import json
import os
import pathlib

import numpy as np


def write_json(path: pathlib.Path, content: dict | list) -> None:
  """Written beside, flushed to the disk and renamed: a reader never sees half a file."""
  draft = path.with_suffix(".tmp")
  with draft.open("w") as file:
    file.write(json.dumps(content, indent=2, default=_plain) + "\n")
    file.flush()
    os.fsync(file.fileno())
  draft.replace(path)


def read_json(path: pathlib.Path):
  """What `write_json` wrote.

  Raises:
    ValueError: it is no JSON; the file is named.
  """
  try:
    return json.loads(path.read_text())
  except ValueError as error:
    raise ValueError(f"{path} is damaged: {error}. Restore it, or use another --workdir") from error


def _plain(value):
  if isinstance(value, np.generic):
    return value.item()
  raise TypeError(f"{value!r} is not JSON")

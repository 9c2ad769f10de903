"""The manifest of a checkpoint: the SHA-256 of each of its files, which shows later damage."""

from __future__ import annotations

import json
import pathlib

from ppool_jax.utils.files import atomic_write, file_digest

MANIFEST = "files.json"


def write(folder: pathlib.Path) -> None:
  """Writes the SHA-256 of every file below `folder` to its files.json."""
  files = sorted(path for path in folder.rglob("*") if path.is_file() and MANIFEST not in path.name)
  digests = {path.relative_to(folder).as_posix(): file_digest(path, "sha256") for path in files}
  with atomic_write(folder / MANIFEST) as file:
    file.write((json.dumps(digests, indent=2) + "\n").encode())


def verify(folder: pathlib.Path) -> None:
  """Compares the files with the manifest; a folder without one, left by a kill before it, is not checked.

  Other files do no harm: file browsers and network file systems leave some, such as .DS_Store.

  Raises:
    ValueError: a file changed or is missing; the first is named.
  """
  if not (folder / MANIFEST).exists():
    return
  for name, expected in json.loads((folder / MANIFEST).read_bytes()).items():
    if not (folder / name).is_file():
      raise ValueError(f"{name} is missing")
    if file_digest(folder / name, "sha256") != expected:
      raise ValueError(f"{name} is not what was written")

"""The manifest of a checkpoint: the SHA-256 of each of its files, which shows later damage."""

from __future__ import annotations

import json
import pathlib

from ppool_jax.utils.files import atomic_write, file_digest

MANIFEST = "files.json"


def write(folder: pathlib.Path) -> None:
  """Writes the SHA-256 of every file below `folder` to its files.json."""
  with atomic_write(folder / MANIFEST) as file:
    file.write((json.dumps(_digests(folder), indent=2) + "\n").encode())


def verify(folder: pathlib.Path) -> None:
  """Compares the files with the manifest; a folder without one, left by a kill before it, is not checked.

  Other files do no harm: file browsers and network file systems leave some, such as .DS_Store.

  Raises:
    ValueError: a file changed or is missing; the first is named.
  """
  if not (folder / MANIFEST).exists():
    return
  expected, actual = json.loads((folder / MANIFEST).read_bytes()), _digests(folder)
  for name in sorted(expected):
    if name not in actual:
      raise ValueError(f"{name} is missing")
    if expected[name] != actual[name]:
      raise ValueError(f"{name} is not what was written")


def _digests(folder: pathlib.Path) -> dict[str, str]:
  files = sorted(path for path in folder.rglob("*") if path.is_file() and MANIFEST not in path.name)
  return {path.relative_to(folder).as_posix(): file_digest(path, "sha256") for path in files}

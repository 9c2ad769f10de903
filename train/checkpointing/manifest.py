"""Digests of a folder's files: whether any of them changed since it was sealed."""

from __future__ import annotations

import hashlib
import json
import pathlib

SEAL = "files.json"


def seal(folder: pathlib.Path) -> None:
  """Writes the SHA-256 of every file below `folder` to its files.json, in one piece."""
  draft = folder / f"{SEAL}.tmp"
  draft.write_text(json.dumps(_digests(folder), indent=2) + "\n")
  draft.replace(folder / SEAL)


def check(folder: pathlib.Path) -> None:
  """Compares the files with the seal; a folder without one, left by a kill before it, is not checked.

  Raises:
    ValueError: a file changed, is missing or is new; the first is named.
  """
  if not (folder / SEAL).exists():
    return
  sealed, found = json.loads((folder / SEAL).read_bytes()), _digests(folder)
  for name in sorted(sealed.keys() | found.keys()):
    if name not in found:
      raise ValueError(f"{name} is missing")
    if sealed.get(name) != found[name]:
      raise ValueError(f"{name} is not what was written")


def _digests(folder: pathlib.Path) -> dict[str, str]:
  found = {}
  for path in sorted(folder.rglob("*")):
    if path.is_file() and path.name not in (SEAL, f"{SEAL}.tmp"):
      with path.open("rb") as file:
        found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
  return found

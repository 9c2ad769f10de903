"""A folder or an archive as a mapping from relative paths to files."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

from train.data.preparation.image_files import File


class FileTree:
  """Files by their path relative to `root`.

  Args:
    root: the folder or archive; it appears in the paths of files that do not exist.
  """

  def __init__(self, root: pathlib.Path):
    self.root = root
    self._files: dict[str, File] = {}

  def add(self, files: Mapping[str, File]) -> FileTree:
    """Adds `files`, replacing those of the same path, and returns this tree."""
    self._files.update(files)
    return self

  def __contains__(self, path: str) -> bool:
    return path in self._files

  def __getitem__(self, path: str) -> File:
    """Returns the file, or a nonexistent path under `root`."""
    return self._files.get(path, self.root / path)

  def list_paths(self, prefix: str, suffix: str | tuple[str, ...]) -> list[str]:
    """The sorted paths that start with `prefix` and end with `suffix`, without hidden files."""
    return sorted(
      path
      for path in self._files
      if path.startswith(prefix) and path.endswith(suffix) and "/." not in f"/{path}"
    )

  def read_words(self, path: str) -> list[str]:
    """The words of a text file, such as a list of ids; empty if the file does not exist."""
    return self._files[path].read_bytes().decode().split() if path in self._files else []

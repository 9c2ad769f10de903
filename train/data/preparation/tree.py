"""A folder or archive seen as files by relative path."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

from train.data.preparation.image_files import File


class Tree:
  """Files by their path relative to `root`.

  Args:
    root: the folder or archive, which names a file that is not there.
  """

  def __init__(self, root: pathlib.Path):
    self.root = root
    self._files: dict[str, File] = {}

  def add(self, files: Mapping[str, File]) -> Tree:
    """This tree, with `files` in place of those of the same path."""
    self._files.update(files)
    return self

  def __contains__(self, path: str) -> bool:
    return path in self._files

  def __getitem__(self, path: str) -> File:
    """The file; of a path that is not there, a path that is no file."""
    return self._files.get(path, self.root / path)

  def under(self, folder: str, ending: str | tuple[str, ...]) -> list[str]:
    """Paths that begin with `folder` and end with `ending`, sorted; hidden files are none."""
    return sorted(
      path
      for path in self._files
      if path.startswith(folder) and path.endswith(ending) and "/." not in f"/{path}"
    )

  def lines(self, path: str) -> list[str]:
    """The words of a list with one a line; none where there is no such file."""
    return self._files[path].read_bytes().decode().split() if path in self._files else []

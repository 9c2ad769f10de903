"""What an unfinished preparation has read and checked already: the next one goes on there."""

from __future__ import annotations

import hashlib
import io
import pathlib
import shutil
from collections.abc import Callable

from train.data.classes import ClassTable
from train.data.preparation.archives import Member
from train.data.preparation.image_files import File, rgb_file
from train.data.preparation.samples import Pair


class Drafts:
  """Label maps as they are stored, in a folder of their own until the data set is whole.

  A draft is known by its pair's files, their sizes and times, the classes and the size that was asked for:
  of a file that changed there is none.

  Args:
    folder: made when it is needed.
  """

  def __init__(self, folder: pathlib.Path):
    self._folder = folder

  def encoded(self, encode: Callable, pair: Pair, table: ClassTable, size: tuple[int, int] | None) -> tuple:
    """`encode(pair, table, size)`, which is `samples.encode`, or what it gave an earlier call."""
    what = (pair.id, table.rows, size, *(_stamp(file) for file in (pair.image, pair.label) if file))
    draft = self._folder / f"{hashlib.sha256(repr(what).encode()).hexdigest()[:32]}.png"
    if draft.is_file():
      return rgb_file(pair.image), io.BytesIO(draft.read_bytes())
    image, label = encode(pair, table, size)
    self._folder.mkdir(parents=True, exist_ok=True)
    part = draft.with_suffix(".part")
    part.write_bytes(label.getvalue())
    part.replace(draft)
    return image, label

  def remove(self) -> None:
    shutil.rmtree(self._folder, ignore_errors=True)


def _stamp(file: File) -> tuple:
  if isinstance(file, Member):
    return str(file), file.size, file.archive.stat().st_mtime_ns
  about = file.stat()
  return str(file.resolve()), about.st_size, about.st_mtime_ns

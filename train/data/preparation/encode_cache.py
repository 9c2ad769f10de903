"""A cache of encoded label maps, with which an interrupted preparation resumes."""

from __future__ import annotations

import hashlib
import io
import pathlib
import shutil
from collections.abc import Callable

from ppool_jax.utils.files import atomic_write
from train.data.classes import ClassTable
from train.data.preparation.archives import Member
from train.data.preparation.image_files import File, to_rgb_file
from train.data.preparation.samples import Sample


class EncodeCache:
  """Encoded label maps in a folder that exists only until the data set is complete.

  The key of an entry consists of the sample's files, their sizes and modification times, the classes and
  the expected size, so that a changed file is encoded again.

  Args:
    folder: created when the first entry is stored.
  """

  def __init__(self, folder: pathlib.Path):
    self._folder = folder

  def get_or_encode(
    self, encode: Callable, sample: Sample, table: ClassTable, size: tuple[int, int] | None
  ) -> tuple:
    """`encode(sample, table, size)`, that is `samples.encode`, or the result of an earlier call."""
    key = (sample.id, table.rows, size, *(_stat(file) for file in (sample.image, sample.label) if file))
    entry = self._folder / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}.png"
    if entry.is_file():
      return to_rgb_file(sample.image), io.BytesIO(entry.read_bytes())
    image, label = encode(sample, table, size)
    self._folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(entry) as file:
      file.write(label.getvalue())
    return image, label

  def clear(self) -> None:
    """Deletes the folder."""
    shutil.rmtree(self._folder, ignore_errors=True)


def _stat(file: File) -> tuple:
  if isinstance(file, Member):
    return str(file), file.size, file.archive.stat().st_mtime_ns
  stat = file.stat()
  return str(file.resolve()), stat.st_size, stat.st_mtime_ns

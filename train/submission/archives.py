"""Archives that somebody uploads: read member by member without unpacking to disk, and written."""

from __future__ import annotations

import contextlib
import gzip
import io
import pathlib
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

LARGEST_MEMBER = 2**26
LARGEST = 2**32
"""Bytes of a member, and of all, that are unpacked at most; Cityscapes without compression has 3.2e9."""

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError)


class Entry(NamedTuple):
  """A member of an archive.

  Attributes:
    name: as it stands there.
    kind: "file", "folder" or "link", which is anything else.
    size: bytes, as declared.
    read: () -> bytes; a ValueError says that they are damaged.
  """

  name: str
  kind: str
  size: int
  read: Callable[[], bytes]


def entries(archive: pathlib.Path, name: str) -> Iterator[Entry]:
  """The members, each to be read before the next one is asked for.

  Args:
    name: what the archive is to be called: a .zip is read as one, anything else as .tar.gz.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not such an archive, a damaged one, or one that unpacks to more than `LARGEST`.
  """
  if not archive.is_file():
    raise FileNotFoundError(f"{archive}: no such file")
  try:
    yield from _zip_entries(archive) if name.endswith(".zip") else _tar_entries(archive)
  except _DAMAGED as error:
    raise ValueError(f"not a readable {name.partition('.')[2]} ({error})") from error


def write_zip(draft: pathlib.Path, files: Iterable[tuple[str, pathlib.Path]]) -> None:
  """A zip of (name, file) pairs, the same bytes whenever it is made; PNGs are compressed already."""
  with zipfile.ZipFile(draft, "w") as archive:
    for name, file in files:
      info = zipfile.ZipInfo(name)
      info.external_attr = (stat.S_IFREG | 0o644) << 16
      archive.writestr(info, file.read_bytes())


def write_tar(draft: pathlib.Path, files: Iterable[tuple[str, pathlib.Path]]) -> None:
  """As `write_zip`, a tar compressed with gzip."""
  with (
    draft.open("wb") as raw,
    gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
    tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
  ):
    for name, file in files:
      content = file.read_bytes()
      info = tarfile.TarInfo(name)
      info.size = len(content)
      archive.addfile(info, io.BytesIO(content))


@contextlib.contextmanager
def drafted(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """A path beside `path` to write to, renamed to it at the end, and removed after an error."""
  draft = path.with_name(f"{path.name}.part")
  try:
    yield draft
    draft.replace(path)
  finally:
    draft.unlink(missing_ok=True)


def _zip_entries(archive: pathlib.Path) -> Iterator[Entry]:
  with zipfile.ZipFile(archive) as opened:
    _refuse_more(sum(info.file_size for info in opened.infolist()))
    for info in opened.infolist():
      link = stat.S_ISLNK(info.external_attr >> 16)
      kind = "folder" if info.is_dir() else "link" if link else "file"
      yield Entry(info.filename, kind, info.file_size, lambda info=info: _attempt(lambda: opened.read(info)))


def _tar_entries(archive: pathlib.Path) -> Iterator[Entry]:
  with gzip.open(archive) as packed, tarfile.open(fileobj=_Limited(packed), mode="r:") as opened:
    for info in opened:
      kind = "folder" if info.isdir() else "file" if info.isfile() else "link"
      yield Entry(
        info.name, kind, info.size, lambda info=info: _attempt(lambda: opened.extractfile(info).read())
      )
    while packed.read(2**20):  # the checksum is at the end
      _refuse_more(packed.tell())


class _Limited:
  """What tarfile needs of a file, and no more of it than `LARGEST`: a tar's headers can be bombs, too."""

  def __init__(self, file):
    self._file, self.tell = file, file.tell

  def read(self, size: int) -> bytes:
    _refuse_more(self.tell() + size)
    return self._file.read(size)

  def seek(self, position: int) -> int:
    _refuse_more(position)
    return self._file.seek(position)


def _refuse_more(size: int) -> None:
  if size > LARGEST:
    raise ValueError(f"it unpacks to more than {LARGEST >> 20} MB, which no submission does")


def _attempt(read: Callable[[], bytes]) -> bytes:
  try:
    return read()
  except _DAMAGED as error:
    raise ValueError(f"damaged ({error})") from error

"""Reading and writing of submission archives; untrusted members are read in memory, never unpacked."""

from __future__ import annotations

import gzip
import io
import pathlib
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, BinaryIO, NamedTuple, cast

MAX_MEMBER_BYTES = 2**26
MAX_ARCHIVE_BYTES = 2**32
"""Limits of unpacked sizes, against decompression bombs; Cityscapes without compression has 3.2e9 bytes."""

_READ_ERRORS = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError)


class Entry(NamedTuple):
  """A member of an archive.

  Attributes:
    name: its path in the archive.
    kind: "file", "folder" or "link" (including devices and other special files).
    size: bytes, as declared.
    read: () -> bytes; raises ValueError if they are corrupt.
  """

  name: str
  kind: str
  size: int
  read: Callable[[], bytes]


def iterate_entries(archive: pathlib.Path, name: str) -> Iterator[Entry]:
  """Iterates over the members; each must be read before the next one is requested.

  Args:
    name: the archive's name in the submission format, which determines its type: .zip, else .tar.gz.

  Raises:
    FileNotFoundError: the archive does not exist.
    ValueError: it has another type, is corrupt, or unpacks to more than `MAX_ARCHIVE_BYTES`.
  """
  if not archive.is_file():
    raise FileNotFoundError(f"{archive}: no such file")
  try:
    yield from _iterate_zip(archive) if name.endswith(".zip") else _iterate_tar(archive)
  except _READ_ERRORS as error:
    raise ValueError(f"not a readable {name.partition('.')[2]} ({error})") from error


def write_zip(output: BinaryIO, files: Iterable[tuple[str, pathlib.Path]]) -> None:
  """Writes (name, file) pairs as a reproducible zip, uncompressed because PNGs are compressed already."""
  with zipfile.ZipFile(output, "w") as archive:
    for name, file in files:
      info = zipfile.ZipInfo(name)
      info.external_attr = (stat.S_IFREG | 0o644) << 16
      archive.writestr(info, file.read_bytes())


def write_tar_gz(output: BinaryIO, files: Iterable[tuple[str, pathlib.Path]]) -> None:
  """As `write_zip`, but a tar compressed with gzip."""
  with (
    gzip.GzipFile("", "wb", 6, output, mtime=0) as compressed,
    tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
  ):
    for name, file in files:
      content = file.read_bytes()
      info = tarfile.TarInfo(name)
      info.size = len(content)
      archive.addfile(info, io.BytesIO(content))


def _iterate_zip(archive: pathlib.Path) -> Iterator[Entry]:
  with zipfile.ZipFile(archive) as opened:
    _check_size(sum(info.file_size for info in opened.infolist()))
    for info in opened.infolist():
      is_link = stat.S_ISLNK(info.external_attr >> 16)
      kind = "folder" if info.is_dir() else "link" if is_link else "file"
      yield Entry(info.filename, kind, info.file_size, lambda info=info: _read(lambda: opened.read(info)))


def _iterate_tar(archive: pathlib.Path) -> Iterator[Entry]:
  with (
    gzip.open(archive) as decompressed,
    tarfile.open(fileobj=cast("IO[bytes]", _LimitedFile(decompressed)), mode="r:") as opened,
  ):
    for info in opened:
      kind = "folder" if info.isdir() else "file" if info.isfile() else "link"
      yield Entry(info.name, kind, info.size, lambda info=info: _read(lambda: _read_member(opened, info)))
    while decompressed.read(2**20):  # reads to the end, where gzip verifies the checksum
      _check_size(decompressed.tell())


def _read_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
  file = archive.extractfile(info)
  assert file is not None, f"{info.name} is no file"
  return file.read()


class _LimitedFile:
  """The file interface that tarfile needs, limited to `MAX_ARCHIVE_BYTES`: tar headers can be bombs, too."""

  def __init__(self, file):
    self._file, self.tell = file, file.tell

  def read(self, size: int) -> bytes:
    _check_size(self.tell() + size)
    return self._file.read(size)

  def seek(self, position: int) -> int:
    _check_size(position)
    return self._file.seek(position)


def _check_size(size: int) -> None:
  if size > MAX_ARCHIVE_BYTES:
    raise ValueError(f"it unpacks to more than {MAX_ARCHIVE_BYTES >> 20} MB, larger than any submission")


def _read(read: Callable[[], bytes]) -> bytes:
  try:
    return read()
  except _READ_ERRORS as error:
    raise ValueError(f"corrupt ({error})") from error

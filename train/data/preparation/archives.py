"""The files of a folder, a zip or a tar by relative path; archives are read in place, without unpacking."""

from __future__ import annotations

import functools
import os
import pathlib
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from train.utils.progress import ProgressMeter


class Member(NamedTuple):
  """A file in an archive, with the subset of `pathlib.Path`'s interface that readers use."""

  archive: pathlib.Path
  path: str
  size: int
  read_bytes: Callable[[], bytes]

  @property
  def stem(self) -> str:
    return pathlib.PurePosixPath(self.path).stem

  def is_file(self) -> bool:
    return True

  def __str__(self) -> str:
    return f"{self.archive}/{self.path}"


def list_folder(folder: pathlib.Path) -> dict[str, pathlib.Path]:
  """Every file below `folder` by its path relative to it; links to folders are followed."""
  files = {}
  for top, _, names in os.walk(folder, followlinks=True):
    relative = pathlib.Path(top).relative_to(folder)
    files.update({(relative / name).as_posix(): pathlib.Path(top, name) for name in names})
  return files


def list_zip(archive: pathlib.Path) -> dict[str, Member]:
  """The files in a zip by name.

  Raises:
    ValueError: not a zip, a truncated one, or a member whose path escapes it.
  """
  try:
    opened = zipfile.ZipFile(archive)
  except (zipfile.BadZipFile, OSError) as error:
    raise _unreadable(archive, error) from error
  files = {}
  for info in opened.infolist():
    check_member_path(archive, info.filename)
    if not info.is_dir():
      read = functools.partial(_read_zip, archive, opened, info)
      files[info.filename] = Member(archive, info.filename, info.file_size, read)
  return files


def list_tar(archive: pathlib.Path, select: Callable[[str], bool]) -> dict[str, Member]:
  """The files in a tar by name, those for which `select(name)` is true.

  An uncompressed tar is read in place. A compressed one has no random access, so the selected members are
  kept in memory.

  Raises:
    ValueError: not a tar, a truncated one, or a member whose path escapes it.
  """
  files, uncompressed = {}, _is_uncompressed(archive)
  mode = "r:" if uncompressed else "r:*"
  try:
    with archive.open("rb") as raw, tarfile.open(fileobj=raw, mode=mode) as opened:
      for info in _iterate(archive, opened, raw):
        if info.isfile() and select(info.name):
          read_range = functools.partial(_read_range, archive, info.offset_data, info.size)
          read = read_range if uncompressed else functools.partial(bytes, _read_member(opened, info))
          files[info.name] = Member(archive, info.name, info.size, read)
  except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
    raise _unreadable(archive, error) from error
  return files


def check_member_path(archive: pathlib.Path, name: str) -> None:
  """Rejects a member that unpacking would write outside the destination folder.

  Raises:
    ValueError: the path is absolute or contains "..".
  """
  if escapes(name):
    raise ValueError(
      f"{archive}: the path of the member {name!r} escapes the archive; download the publisher's own"
    )


def escapes(name: str) -> bool:
  """Whether the path of an archive's member is absolute or contains ".."."""
  path = pathlib.PureWindowsPath(name)  # recognizes both separators and drive letters
  return bool(path.anchor) or ".." in path.parts


def _iterate(archive: pathlib.Path, opened: tarfile.TarFile, raw: BinaryIO) -> Iterator[tarfile.TarInfo]:
  """The members, with progress, because reading a compressed archive takes long."""
  meter, done = ProgressMeter(archive.stat().st_size >> 20, f"reading {archive.name}", "MB"), 0
  try:
    for info in opened:
      check_member_path(archive, info.name)
      yield info
      meter.advance((raw.tell() >> 20) - done)
      done = raw.tell() >> 20
  finally:
    meter.close()


def _read_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
  file = archive.extractfile(info)
  assert file is not None, f"{info.name} is no file"
  return file.read()


def _is_uncompressed(archive: pathlib.Path) -> bool:
  try:
    tarfile.open(archive, "r:").close()
  except tarfile.ReadError:
    return False
  return True


def _read_zip(archive: pathlib.Path, opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
  try:
    return opened.read(info)
  except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
    raise ValueError(f"{archive}/{info.filename}: corrupt ({error}); download the archive again") from error


def _read_range(archive: pathlib.Path, start: int, size: int) -> bytes:
  with archive.open("rb") as file:
    file.seek(start)
    return file.read(size)


def _unreadable(archive: pathlib.Path, error: Exception) -> ValueError:
  return ValueError(f"{archive}: not a readable archive ({error}); copy or download it again")

"""Files of a folder, of a zip or of a tar, under the same relative names. Nothing is unpacked."""

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
  """A file in an archive, with the part of `pathlib.Path` that readers use."""

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


def folder_files(folder: pathlib.Path) -> dict[str, pathlib.Path]:
  """Every file below `folder`, links to folders followed, by its path relative to it."""
  found = {}
  for top, _, names in os.walk(folder, followlinks=True):
    relative = pathlib.Path(top).relative_to(folder)
    found.update({(relative / name).as_posix(): pathlib.Path(top, name) for name in names})
  return found


def zip_files(archive: pathlib.Path) -> dict[str, Member]:
  """The files in a zip by name.

  Raises:
    ValueError: not a zip, a truncated one, or a name that leads out of it.
  """
  try:
    opened = zipfile.ZipFile(archive)
  except (zipfile.BadZipFile, OSError) as error:
    raise _damaged(archive, error) from error
  found = {}
  for info in opened.infolist():
    refuse_escape(archive, info.filename)
    if not info.is_dir():
      read = functools.partial(_read_zip, archive, opened, info)
      found[info.filename] = Member(archive, info.filename, info.file_size, read)
  return found


def tar_files(archive: pathlib.Path, keep: Callable[[str], bool]) -> dict[str, Member]:
  """The files in a tar by name, those alone for which `keep(name)`.

  A plain tar is read where it lies. A compressed one cannot be, so what is kept of it is held in
  memory.

  Raises:
    ValueError: not a tar, a truncated one, or a name that leads out of it.
  """
  found, plain = {}, _is_plain(archive)
  try:
    with archive.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:" if plain else "r:*") as opened:
      for info in _members(archive, opened, raw):
        if info.isfile() and keep(info.name):
          part = functools.partial(_read_part, archive, info.offset_data, info.size)
          read = part if plain else functools.partial(bytes, opened.extractfile(info).read())
          found[info.name] = Member(archive, info.name, info.size, read)
  except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
    raise _damaged(archive, error) from error
  return found


def refuse_escape(archive: pathlib.Path, name: str) -> None:
  """Refuses a member that would be written outside the folder it is unpacked in.

  Raises:
    ValueError: an absolute name, or one with "..".
  """
  path = pathlib.PureWindowsPath(name)  # takes both separators, and drives
  if path.anchor or ".." in path.parts:
    raise ValueError(f"{archive}: the member {name!r} leads out of the archive; download the publisher's own")


def _members(archive: pathlib.Path, opened: tarfile.TarFile, raw: BinaryIO) -> Iterator[tarfile.TarInfo]:
  """The members, with progress: a compressed archive takes its time."""
  meter, done = ProgressMeter(archive.stat().st_size >> 20, f"reading {archive.name}", "MB"), 0
  try:
    for info in opened:
      refuse_escape(archive, info.name)
      yield info
      meter.advance((raw.tell() >> 20) - done)
      done = raw.tell() >> 20
  finally:
    meter.close()


def _is_plain(archive: pathlib.Path) -> bool:
  try:
    tarfile.open(archive, "r:").close()
  except tarfile.ReadError:
    return False
  return True


def _read_zip(archive: pathlib.Path, opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
  try:
    return opened.read(info)
  except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
    raise ValueError(f"{archive}/{info.filename}: damaged ({error}); download the archive again") from error


def _read_part(archive: pathlib.Path, start: int, size: int) -> bytes:
  with archive.open("rb") as file:
    file.seek(start)
    return file.read(size)


def _damaged(archive: pathlib.Path, error: Exception) -> ValueError:
  return ValueError(f"{archive}: not a readable archive ({error}); copy or download it again")

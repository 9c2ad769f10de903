"""Downloads of public weight files: resumed after interruptions, and verified before the final rename."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import pathlib
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import BinaryIO

from ppool_jax.utils.files import file_digest, is_file_at
from ppool_jax.weights.catalog import PublicFile
from ppool_jax.weights.progress import Progress

_CHUNK = 1 << 20
_TIMEOUT = 60  # Seconds without a byte after which a connection counts as broken.


def fetch(file: PublicFile, folder: str | os.PathLike, url: str | None = None) -> pathlib.Path:
  """Downloads a public file into a directory, which is created; an existing file is only verified.

  An incomplete download is named `<name>.part`; the next call resumes it. One process downloads at a time;
  others wait for it.

  Args:
    file: the file.
    folder: the directory.
    url: another address of the same file, http or https.

  Returns:
    The file's path.

  Raises:
    OSError: no response, an error response, or a broken connection; run again to resume.
    ValueError: another size or hash than published, or a URL with another scheme. A download with a wrong
      hash is deleted; an existing file is not.
  """
  path = pathlib.Path(folder) / file.name
  if not path.exists():
    with _locked(path.with_name(f"{path.name}.part")) as part:
      if not path.exists():  # Another process may have downloaded it while this one waited.
        _download(file, url or file.url, part)
        if mismatch := _mismatch(file, part.name):
          os.unlink(part.name)
          raise ValueError(f"{file.name}: {mismatch}; the download is deleted, run again")
        os.replace(part.name, path)
        return path
  verify(file, path)
  return path


def verify(file: PublicFile, path: str | os.PathLike) -> None:
  """Compares a local file with the published size and hash.

  Raises:
    ValueError: another size or hash.
  """
  if mismatch := _mismatch(file, path):
    raise ValueError(f"{path}: {mismatch}")


def _mismatch(file: PublicFile, path: str | os.PathLike) -> str | None:
  """The difference between a local file and the published one; None if there is none."""
  size = os.path.getsize(path)
  if file.size not in (None, size):
    return f"expected {file.size} bytes, got {size}"
  found = file_digest(path, file.hash_type.removesuffix("-prefix"))
  same = found.startswith(file.hash) if file.hash_type.endswith("-prefix") else found == file.hash
  return None if same else f"expected {file.described_hash}, got {found}"


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[BinaryIO]:
  """Opens the partial download at its end, with an exclusive lock.

  An empty one is deleted at the end of the block, and with it the directories that were created for it.
  """
  created = [folder for folder in path.parents if not folder.exists()]
  path.parent.mkdir(parents=True, exist_ok=True)
  with _open_locked(path) as part:
    try:
      yield part
    finally:
      if not os.fstat(part.fileno()).st_size:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # Another process may have written to the directory.
          for folder in created:
            folder.rmdir()


def _open_locked(path: pathlib.Path) -> BinaryIO:
  """Opens and locks `path`, again if the process that held the lock deleted or moved the file meanwhile."""
  while True:
    part = path.open("ab")
    fcntl.flock(part, fcntl.LOCK_EX)
    if is_file_at(path, part):
      return part
    part.close()
    path.parent.mkdir(parents=True, exist_ok=True)


def _download(file: PublicFile, url: str, part: BinaryIO) -> None:
  """Appends the rest of the file, or replaces it if the server ignores ranges."""
  done = part.seek(0, os.SEEK_END)
  response = _request(file.name, url, done)
  if response is None:
    # The server has nothing after `done`: the part is complete, or longer than the file.
    if not _mismatch(file, part.name):
      return
    part.truncate(0)
    done, response = 0, _request(file.name, url, 0)
    if response is None:
      raise OSError(f"{file.name}: {url} has no content")
  with response:
    done = done if response.status == 206 else 0
    length = response.headers["Content-Length"]
    total = done + int(length) if length else None
    if file.size is not None and total not in (None, file.size):
      raise ValueError(f"{file.name}: expected {file.size} bytes, {url} has {total}")
    if not done:
      part.truncate(0)
    _copy(file.name, response, part, done, total)
  part.flush()
  os.fsync(part.fileno())


def _request(name: str, url: str, start: int) -> http.client.HTTPResponse | None:
  """The file from byte `start`; None if the server responds that it has nothing there."""
  if not url.startswith(("http://", "https://")):
    raise ValueError(f"{name}: expected a URL that begins with http:// or https://, got {url!r}")
  request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
  try:
    response = urllib.request.urlopen(request, timeout=_TIMEOUT)
  except urllib.error.HTTPError as error:
    error.close()
    if error.code == 416 and start:
      return None
    raise OSError(f"{name}: {url} responded {error.code} {error.reason}") from None
  except (OSError, http.client.HTTPException) as error:
    raise OSError(f"{name}: no response from {url}: {getattr(error, 'reason', error)}") from None
  sent = response.headers["Content-Range"] or ""
  if response.status == 206 and not sent.startswith(f"bytes {start}-"):
    response.close()
    raise OSError(f"{name}: requested bytes {start}- of {url}, got {sent!r}")
  return response


def _copy(
  name: str, response: http.client.HTTPResponse, part: BinaryIO, done: int, total: int | None
) -> None:
  progress, broken = Progress(name, done, total), False
  while not broken:
    try:
      chunk = response.read(_CHUNK)
    except (OSError, http.client.HTTPException):
      broken = True
      continue
    if not chunk:
      break
    part.write(chunk)
    progress.add(len(chunk))
  progress.close()
  if broken or (total is not None and progress.done < total):
    of = f" of {total}" if total else ""
    raise OSError(f"{name}: the connection broke after {progress.done}{of} bytes; run again to resume")

"""Downloads of well-known files: resumed where they broke off, and checked before they get their name."""

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

from ppool_jax.utils.files import file_digest
from ppool_jax.weights.catalog import KnownFile
from ppool_jax.weights.progress import Progress

_CHUNK = 1 << 20
_SILENCE = 60  # Seconds without a byte after which a connection counts as broken.


def fetch(known: KnownFile, folder: str | os.PathLike, url: str | None = None) -> pathlib.Path:
  """A well-known file in a folder, which is made; a file that is there already is only checked.

  Until it is complete and checked, a download is called `<name>.part`; the next call goes on with it.

  Args:
    known: the file.
    folder: where it is or will be.
    url: another place that has it, http or https.

  Returns:
    Its path.

  Raises:
    OSError: no answer, a refusal, or a connection that broke: run again to go on.
    ValueError: a size or hash that is not the file's, or a URL of another kind. What was downloaded is
      deleted; a file that was there before is not.
  """
  path = pathlib.Path(folder) / known.name
  if not path.exists():
    with _held(path.with_name(f"{path.name}.part")) as part:
      if not path.exists():  # Another process may have fetched it while this one waited.
        _download(known, url or known.url, part)
        if fault := _fault(known, part.name):
          os.unlink(part.name)
          raise ValueError(f"{known.name}: {fault}; the download is deleted, run again")
        os.replace(part.name, path)
        return path
  check(known, path)
  return path


def check(known: KnownFile, path: str | os.PathLike):
  """Compares a file with what is known of it.

  Raises:
    ValueError: its size or hash is another.
  """
  if fault := _fault(known, path):
    raise ValueError(f"{path}: {fault}")


def _fault(known: KnownFile, path: str | os.PathLike) -> str | None:
  size = os.path.getsize(path)
  if known.size not in (None, size):
    return f"expected {known.size} bytes, got {size}"
  found = file_digest(path, known.kind.removesuffix("-prefix"))
  right = found.startswith(known.hash) if known.kind.endswith("-prefix") else found == known.hash
  return None if right else f"expected {known.kind} {known.hash}, got {found}"


@contextlib.contextmanager
def _held(path: pathlib.Path) -> Iterator[BinaryIO]:
  """The part, open at its end, for one process at a time; nothing is left of a part without a byte."""
  made = [folder for folder in path.parents if not folder.exists()]
  path.parent.mkdir(parents=True, exist_ok=True)
  with path.open("ab") as part:
    fcntl.flock(part, fcntl.LOCK_EX)
    try:
      yield part
    finally:
      if not os.fstat(part.fileno()).st_size:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # Another process has put something there.
          for folder in made:
            folder.rmdir()


def _download(known: KnownFile, url: str, part: BinaryIO):
  """The rest of the file, or all of it from a server that does not send rests."""
  done = part.seek(0, os.SEEK_END)
  response = _request(known.name, url, done)
  if response is None:
    # No rest: the part is complete, or longer than the file.
    if not _fault(known, part.name):
      return
    part.truncate(0)
    done, response = 0, _request(known.name, url, 0)
  with response:
    done = done if response.status == 206 else 0
    length = response.headers["Content-Length"]
    total = done + int(length) if length else None
    if known.size is not None and total not in (None, known.size):
      raise ValueError(f"{known.name}: expected {known.size} bytes, {url} has {total}")
    if not done:
      part.truncate(0)
    _copy(known.name, response, part, done, total)
  part.flush()
  os.fsync(part.fileno())


def _request(name: str, url: str, start: int) -> http.client.HTTPResponse | None:
  """The file from a byte on; None if the server says that there is nothing from there on."""
  if not url.startswith(("http://", "https://")):
    raise ValueError(f"{name}: expected a URL that begins with http:// or https://, got {url!r}")
  request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
  try:
    response = urllib.request.urlopen(request, timeout=_SILENCE)
  except urllib.error.HTTPError as error:
    error.close()
    if error.code == 416 and start:
      return None
    raise OSError(f"{name}: {url} answered {error.code} {error.reason}") from None
  except (OSError, http.client.HTTPException) as error:
    raise OSError(f"{name}: no answer from {url}: {getattr(error, 'reason', error)}") from None
  sent = response.headers["Content-Range"] or ""
  if response.status == 206 and not sent.startswith(f"bytes {start}-"):
    response.close()
    raise OSError(f"{name}: asked {url} for bytes {start}-, got {sent!r}")
  return response


def _copy(name: str, response: http.client.HTTPResponse, part: BinaryIO, done: int, total: int | None):
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
    raise OSError(f"{name}: the connection broke after {progress.done}{of} bytes; run again to go on")

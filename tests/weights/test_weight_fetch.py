"""Downloads from a local server that interrupts, ignores ranges, or has another file."""

import fcntl
import hashlib
import http.server
import os
import re
import threading
import time

import numpy as np
import pytest

from ppool_jax.weights.catalog import CATALOG, PublicFile
from ppool_jax.weights.fetch import _open_locked, fetch, verify
from ppool_jax.weights.preprocess import CAFFE

CONTENT = np.random.default_rng(0).bytes(300_000)


class Server(http.server.ThreadingHTTPServer):
  """Serves `content` at /weights.bin; `ranges` are the Range headers of the requests."""

  content, interrupts_after, supports_ranges, sends_length = CONTENT, None, True, True

  def __init__(self):
    super().__init__(("127.0.0.1", 0), Handler)
    self.ranges = []

  @property
  def folder(self):
    return f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    requested, server = self.headers["Range"], self.server
    server.ranges.append(requested)
    start = int(re.fullmatch(r"bytes=(\d+)-", requested)[1]) if requested and server.supports_ranges else 0
    if self.path != "/weights.bin":
      self.send_error(404)
      return
    if start >= len(server.content):
      self.send_error(416)
      return
    self.send_response(206 if requested and server.supports_ranges else 200)
    if server.sends_length:
      self.send_header("Content-Length", str(len(server.content) - start))
    if requested and server.supports_ranges:
      self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
    self.end_headers()
    stop = len(server.content) if server.interrupts_after is None else start + server.interrupts_after
    self.wfile.write(server.content[start:stop])

  def log_message(self, *_):
    pass


@pytest.fixture
def server():
  with Server() as running:
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()


def public_file(server, hash_type="md5", size=300_000, **changes):
  digest = hashlib.new(hash_type.removesuffix("-prefix"), CONTENT).hexdigest()
  digest = digest[:8] if hash_type.endswith("-prefix") else digest
  fields = {"hash": digest, "hash_source": "here", "preprocess": CAFFE, **changes}
  return PublicFile("weights.bin", "vgg16", server.folder, size, hash_type, **fields)


def names(folder):
  return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("hash_type", ["md5", "sha1", "sha256", "sha256-prefix"])
def test_file_is_downloaded_and_verified(server, tmp_path, hash_type, capsys):
  """The directory is created; no progress is printed where stderr is not a terminal."""
  path = fetch(public_file(server, hash_type), tmp_path / "new" / "folder")
  assert path == tmp_path / "new" / "folder" / "weights.bin"
  assert path.read_bytes() == CONTENT
  assert names(path.parent) == ["weights.bin"]
  assert server.ranges == [None]
  assert capsys.readouterr().err == ""


def test_interrupted_download_is_resumed(server, tmp_path):
  """Every call requests only the rest; the final name appears only at the end."""
  server.interrupts_after = 100_000
  for done in (100_000, 200_000):
    with pytest.raises(OSError, match=rf"weights.bin: .* after {done} of 300000 bytes; run again to resume"):
      fetch(public_file(server), tmp_path)
    assert names(tmp_path) == ["weights.bin.part"]
    assert (tmp_path / "weights.bin.part").read_bytes() == CONTENT[:done]
  server.interrupts_after = None
  assert fetch(public_file(server), tmp_path).read_bytes() == CONTENT
  assert server.ranges == [None, "bytes=100000-", "bytes=200000-"]
  assert names(tmp_path) == ["weights.bin"]


def test_server_without_ranges_sends_the_whole_file(server, tmp_path):
  """The response replaces the partial download."""
  (tmp_path / "weights.bin.part").write_bytes(CONTENT[:1000])
  server.supports_ranges = False
  assert fetch(public_file(server), tmp_path).read_bytes() == CONTENT
  assert server.ranges == ["bytes=1000-"]


@pytest.mark.parametrize(
  ("part", "requests"), [(CONTENT, 1), (CONTENT + b"more", 2), (b"x" * len(CONTENT), 2)]
)
def test_part_of_full_length_is_verified(server, tmp_path, part, requests):
  """A complete part is used; one that is too long or wrong is downloaded again."""
  (tmp_path / "weights.bin.part").write_bytes(part)
  assert fetch(public_file(server), tmp_path).read_bytes() == CONTENT
  assert server.ranges == [f"bytes={len(part)}-", None][:requests]
  assert names(tmp_path) == ["weights.bin"]


def test_download_with_a_wrong_hash_is_deleted(server, tmp_path):
  with pytest.raises(
    ValueError, match=r"expected md5 0123, got [0-9a-f]{32}; the download is deleted"
  ) as caught:
    fetch(public_file(server, hash="0123"), tmp_path)
  assert "weights.bin" in str(caught.value)
  assert names(tmp_path) == []


def test_wrong_part_is_detected_by_the_hash(server, tmp_path):
  (tmp_path / "weights.bin.part").write_bytes(b"x" * 1000)
  with pytest.raises(ValueError, match="expected md5"):
    fetch(public_file(server), tmp_path)
  assert names(tmp_path) == []
  assert fetch(public_file(server), tmp_path).read_bytes() == CONTENT


def test_wrong_size_is_refused(server, tmp_path):
  """Known from the response, or, if the server does not send the length, from the download."""
  with pytest.raises(ValueError, match=r"expected 5 bytes, .*weights.bin has 300000"):
    fetch(public_file(server, size=5), tmp_path)
  assert names(tmp_path) == []
  server.sends_length = False
  with pytest.raises(ValueError, match="expected 5 bytes, got 300000"):
    fetch(public_file(server, size=5), tmp_path)
  assert names(tmp_path) == []
  assert fetch(public_file(server, size=None), tmp_path).read_bytes() == CONTENT


def test_existing_file_is_only_verified(server, tmp_path):
  """Without a request; a wrong file is not changed."""
  path = tmp_path / "weights.bin"
  path.write_bytes(CONTENT)
  assert fetch(public_file(server), tmp_path) == path
  path.write_bytes(CONTENT[:-1])
  with pytest.raises(ValueError, match="expected 300000 bytes, got 299999"):
    fetch(public_file(server), tmp_path)
  path.write_bytes(CONTENT[:-1] + b"x")
  with pytest.raises(ValueError, match="expected md5") as caught:
    verify(public_file(server), path)
  assert str(path) in str(caught.value)
  assert server.ranges == []
  assert names(tmp_path) == ["weights.bin"]


def test_failed_request_leaves_nothing_behind(server, tmp_path):
  """404, a closed port, another scheme; the created directory is removed, too."""
  folder = tmp_path / "new" / "folder"
  for url, message in [
    (f"{server.folder}gone.bin", "responded 404"),
    ("http://127.0.0.1:9/weights.bin", "no response from .*refused"),
  ]:
    with pytest.raises(OSError, match=message):
      fetch(public_file(server), folder, url)
  with pytest.raises(
    ValueError, match=r"expected a URL that begins with http:// .*, got 'file:///etc/hosts'"
  ):
    fetch(public_file(server), folder, "file:///etc/hosts")
  assert names(tmp_path) == []


def test_concurrent_calls_download_once(server, tmp_path):
  """One downloads, the others wait for it."""
  threads = [threading.Thread(target=fetch, args=(public_file(server), tmp_path)) for _ in range(3)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert (tmp_path / "weights.bin").read_bytes() == CONTENT
  assert names(tmp_path) == ["weights.bin"]
  assert server.ranges == [None]


def test_a_partial_file_that_was_deleted_while_waiting_is_opened_again(tmp_path):
  """The holder of the lock failed and deleted the file: a waiting process must not write to that one."""
  path = tmp_path / "weights.bin.part"
  opened = []
  with path.open("ab") as first:
    fcntl.flock(first, fcntl.LOCK_EX)
    waiting = threading.Thread(target=lambda: opened.append(_open_locked(path)))
    waiting.start()
    time.sleep(0.2)
    path.unlink()
  waiting.join(timeout=10)
  with opened[0] as part:
    assert os.path.samestat(os.fstat(part.fileno()), path.stat())


def test_catalog_entries_are_consistent():
  """Every entry has a hash of the right length, the name of its URL, and the source of its hash."""
  lengths = {"md5": 32, "sha1": 40, "sha256": 64}
  for name, file in CATALOG.items():
    assert name == file.name == file.url.split("/")[-1]
    assert re.fullmatch(r"https?://.*/[\w.-]+\.(h5|pth|caffemodel)", file.url)
    assert re.fullmatch("[0-9a-f]+", file.hash)
    assert (
      file.hash in name if file.hash_type == "sha256-prefix" else len(file.hash) == lengths[file.hash_type]
    )
    assert file.hash_source
    assert file.network in ("vgg16", "vgg16_20m", "resnet50", "inceptionv2", "xception")

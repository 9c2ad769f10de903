"""Downloads from a server on this machine that breaks off, ignores ranges, or has another file."""

import hashlib
import http.server
import re
import threading

import numpy as np
import pytest

from ppool_jax.weights.catalog import CATALOG, PublicFile
from ppool_jax.weights.fetch import fetch, verify
from ppool_jax.weights.preprocess import CAFFE

CONTENT = np.random.default_rng(0).bytes(300_000)


class Server(http.server.ThreadingHTTPServer):
  """Sends `content` at /weights.bin; `ranges` are the Range headers that it was sent."""

  content, breaks_after, heeds_ranges, says_length = CONTENT, None, True, True

  def __init__(self):
    super().__init__(("127.0.0.1", 0), Handler)
    self.ranges = []

  @property
  def folder(self):
    return f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    wanted, server = self.headers["Range"], self.server
    server.ranges.append(wanted)
    start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and server.heeds_ranges else 0
    if self.path != "/weights.bin":
      self.send_error(404)
      return
    if start >= len(server.content):
      self.send_error(416)
      return
    self.send_response(206 if wanted and server.heeds_ranges else 200)
    if server.says_length:
      self.send_header("Content-Length", str(len(server.content) - start))
    if wanted and server.heeds_ranges:
      self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
    self.end_headers()
    stop = len(server.content) if server.breaks_after is None else start + server.breaks_after
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
def test_fetch(server, tmp_path, hash_type, capsys):
  """In a folder that is made; no progress where stderr is no terminal."""
  path = fetch(public_file(server, hash_type), tmp_path / "new" / "folder")
  assert path == tmp_path / "new" / "folder" / "weights.bin"
  assert path.read_bytes() == CONTENT
  assert names(path.parent) == ["weights.bin"]
  assert server.ranges == [None]
  assert capsys.readouterr().err == ""


def test_resume(server, tmp_path):
  """Twice broken off: each call asks for the rest only, and nothing has the final name before."""
  server.breaks_after = 100_000
  for done in (100_000, 200_000):
    with pytest.raises(OSError, match=rf"weights.bin: .* after {done} of 300000 bytes; run again to resume"):
      fetch(public_file(server), tmp_path)
    assert names(tmp_path) == ["weights.bin.part"]
    assert (tmp_path / "weights.bin.part").read_bytes() == CONTENT[:done]
  server.breaks_after = None
  assert fetch(public_file(server), tmp_path).read_bytes() == CONTENT
  assert server.ranges == [None, "bytes=100000-", "bytes=200000-"]
  assert names(tmp_path) == ["weights.bin"]


def test_a_server_that_ignores_ranges(server, tmp_path):
  """It sends everything once more, which replaces the part."""
  (tmp_path / "weights.bin.part").write_bytes(CONTENT[:1000])
  server.heeds_ranges = False
  assert fetch(public_file(server), tmp_path).read_bytes() == CONTENT
  assert server.ranges == ["bytes=1000-"]


@pytest.mark.parametrize(
  ("part", "requests"), [(CONTENT, 1), (CONTENT + b"more", 2), (b"x" * len(CONTENT), 2)]
)
def test_a_part_with_no_rest(server, tmp_path, part, requests):
  """Complete, it is taken; too long or wrong, it is fetched anew."""
  (tmp_path / "weights.bin.part").write_bytes(part)
  assert fetch(public_file(server), tmp_path).read_bytes() == CONTENT
  assert server.ranges == [f"bytes={len(part)}-", None][:requests]
  assert names(tmp_path) == ["weights.bin"]


def test_a_wrong_hash(server, tmp_path):
  """What was downloaded is of no use: it is deleted."""
  with pytest.raises(
    ValueError, match=r"expected md5 0123, got [0-9a-f]{32}; the download is deleted"
  ) as caught:
    fetch(public_file(server, hash="0123"), tmp_path)
  assert "weights.bin" in str(caught.value)
  assert names(tmp_path) == []


def test_a_wrong_start(server, tmp_path):
  """A part of something else shows in the hash."""
  (tmp_path / "weights.bin.part").write_bytes(b"x" * 1000)
  with pytest.raises(ValueError, match="expected md5"):
    fetch(public_file(server), tmp_path)
  assert names(tmp_path) == []
  assert fetch(public_file(server), tmp_path).read_bytes() == CONTENT


def test_a_wrong_size(server, tmp_path):
  """Known from the first answer, or, if the server does not say, from the download."""
  with pytest.raises(ValueError, match=r"expected 5 bytes, .*weights.bin has 300000"):
    fetch(public_file(server, size=5), tmp_path)
  assert names(tmp_path) == []
  server.says_length = False
  with pytest.raises(ValueError, match="expected 5 bytes, got 300000"):
    fetch(public_file(server, size=5), tmp_path)
  assert names(tmp_path) == []
  assert fetch(public_file(server, size=None), tmp_path).read_bytes() == CONTENT


def test_a_file_that_is_there(server, tmp_path):
  """It is checked, without a request, and never touched."""
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


def test_no_answer(server, tmp_path):
  """404, a port where nobody listens, another kind of URL: nothing is left, not even the folder."""
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


def test_two_at_once(server, tmp_path):
  """One downloads, the other waits and finds the file there."""
  threads = [threading.Thread(target=fetch, args=(public_file(server), tmp_path)) for _ in range(3)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert (tmp_path / "weights.bin").read_bytes() == CONTENT
  assert names(tmp_path) == ["weights.bin"]
  assert server.ranges == [None]


def test_the_table():
  """Every entry has a hash of its kind's length, the name that its URL ends in, and its source."""
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

"""Local paths, atomic writes and digests of files."""

import hashlib
import pathlib

import pytest

from ppool_jax.utils.files import atomic_write, file_digest, local_path


def test_atomic_write_replaces_the_file_at_the_end(tmp_path):
  path = tmp_path / "file"
  path.write_bytes(b"old")
  with atomic_write(path) as file:
    file.write(b"new")
    assert path.read_bytes() == b"old"
  assert path.read_bytes() == b"new"
  assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_atomic_write_leaves_the_file_unchanged_after_an_error(tmp_path):
  path = tmp_path / "file"
  path.write_bytes(b"old")

  def write():
    with atomic_write(path) as file:
      file.write(b"new")
      raise OSError("No space left on device")

  with pytest.raises(OSError, match="No space left"):
    write()
  assert path.read_bytes() == b"old"
  assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_file_digest(tmp_path, algorithm):
  (tmp_path / "file").write_bytes(b"content")
  assert file_digest(tmp_path / "file", algorithm) == hashlib.new(algorithm, b"content").hexdigest()


def test_local_paths_have_the_home_directory_expanded(monkeypatch):
  monkeypatch.setenv("HOME", "/home/me")
  assert local_path("~/runs/a:b") == pathlib.Path("/home/me/runs/a:b")
  assert local_path(pathlib.Path("runs")) == pathlib.Path("runs")


@pytest.mark.parametrize(
  "path", ["gs://bucket/run", "s3://b", "file:///tmp/x", pathlib.Path("gs://bucket/x")]
)
def test_urls_are_not_paths(path):
  with pytest.raises(ValueError, match=r"expected a path on this machine, got '[a-z0-9]+:/.*mount it"):
    local_path(path)


def test_the_home_directory_of_an_unknown_user_is_refused():
  with pytest.raises(ValueError, match=r"no such user; write \./~nobody-here/runs"):
    local_path("~nobody-here/runs")


def test_an_empty_path_is_refused():
  with pytest.raises(ValueError, match="expected a path, got ''"):
    local_path("")

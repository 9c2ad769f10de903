"""Atomic writes and digests of files."""

import hashlib

import pytest

from ppool_jax.utils.files import atomic_write, file_digest


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

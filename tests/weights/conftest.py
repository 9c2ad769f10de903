"""Fixtures of the tests of weights."""

import pytest


@pytest.fixture
def large_files(tmp_path):
  """A directory for files of up to 500 MB, which are deleted after each test."""
  yield tmp_path
  for path in tmp_path.iterdir():
    path.unlink()

"""The genuine files that some tests read, where there are any: the folder that PPOOL_ASSETS names."""

import os
import pathlib

import pytest

ASSETS = pathlib.Path(os.environ.get("PPOOL_ASSETS") or "/nonexistent")


def needs(path: str):
  """Skips a test where PPOOL_ASSETS names no folder with this file or folder in it."""
  return pytest.mark.skipif(not (ASSETS / path).exists(), reason=f"PPOOL_ASSETS names no folder with {path}")

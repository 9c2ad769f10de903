"""Marks the combinations that only `make test-all` tests."""

import pytest


def sweep(*values):
  """Parameters of a test that is run with --all only."""
  return pytest.param(*values, marks=pytest.mark.sweep)

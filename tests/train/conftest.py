"""Fixtures of the tests of several rooms."""

import pytest

from tests.helpers.training import tiny_config
from train.loop.loop import train


@pytest.fixture(scope="session")
def pool_runs(tmp_path_factory):
  """A folder with the workdirs "max" and "ppool" of short runs; tests may add evaluations."""
  folder = tmp_path_factory.mktemp("runs")
  for pool in ("max", "ppool"):
    train(tiny_config(f"runlocal,pool={pool}", steps=3), folder / pool)
  return folder

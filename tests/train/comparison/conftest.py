"""Fixtures of the comparison tests."""

import shutil

import pytest

from train.comparison.compare import compare


@pytest.fixture(scope="session")
def runs(pool_runs):
  """Workdirs of max pooling and P-pooling."""
  return pool_runs / "max", pool_runs / "ppool"


@pytest.fixture
def copies(runs, tmp_path):
  """Copies of the workdirs without evaluations, which a test may change."""
  for workdir in runs:
    shutil.copytree(workdir, tmp_path / workdir.name, ignore=shutil.ignore_patterns("evaluation-*"))
  return tmp_path / "max", tmp_path / "ppool"


@pytest.fixture(scope="session")
def out(runs, tmp_path_factory):
  """The folder of a comparison of both runs with two images."""
  folder = tmp_path_factory.mktemp("figures")
  compare(*runs, folder, count=2)
  return folder

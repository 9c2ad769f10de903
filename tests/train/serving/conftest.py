"""Fixtures of the serving tests."""

import pytest

from tests.helpers.training import run as run_program, tiny_config
from train.evaluation.predictor import Predictor
from train.experiment.run import open_run
from train.loop.loop import train


@pytest.fixture(scope="session")
def workdir(tmp_path_factory):
  folder = tmp_path_factory.mktemp("runs") / "ppool"
  train(tiny_config("runlocal,pool=ppool"), folder)
  return folder


@pytest.fixture(scope="session")
def served(workdir, tmp_path_factory):
  folder = tmp_path_factory.mktemp("exports") / "served"
  code, output = run_program(["train.export", "--workdir", str(workdir), "--out", str(folder)])
  assert code == 0, output
  assert "step 6 for cpu, cuda, tpu; 100.0000% of 28788 pixels have the checkpoint's classes" in output
  return folder


@pytest.fixture(scope="session")
def predict(workdir):
  run = open_run(workdir)
  predictor = Predictor(run.experiment, run.config)
  return lambda images: predictor(run.variables, images)

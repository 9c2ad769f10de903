"""The files of an export, its agreement with the checkpoint, and what is refused."""

import json
import os
import shutil

import flax
import jax
import numpy as np
import pytest
from jax import export as jax_export

from ppool_jax import POOLS, models
from ppool_jax.weights import Preprocess
from tests.helpers.networks import varied
from tests.helpers.serving import noise
from tests.helpers.sweeps import sweep
from tests.helpers.training import ROOT, run as run_program, tiny_config
from train.data.classes import ClassTable, LabelClass
from train.evaluation.tta import make_predict_fn
from train.experiment.experiment import make_experiment
from train.experiment.run import Run, open_run
from train.serving import artifact
from train.serving.export import PLATFORMS, export
from train.serving.lowering import lower_model

NAMES = [name for name in models.NETWORKS if name != "vgg_mini"]


def test_metadata_files_describe_the_run(served, workdir):
  run = open_run(workdir)
  names = ["classes.json", "model.json", "model.jaxexport", "predict.py", "preprocess.json", "variables.npz"]
  assert sorted(file.name for file in served.iterdir()) == sorted(names)
  about, rows, preprocess = (
    json.loads((served / f"{name}.json").read_text()) for name in ("model", "classes", "preprocess")
  )
  table = ClassTable([LabelClass(**{**row, "color": tuple(row["color"])}) for row in rows])
  assert table.classes == run.experiment.table.classes
  assert Preprocess.from_dict(preprocess) == run.experiment.preprocess
  assert (about["step"], about["network"], about["jax"]) == (6, "vgg_mini", jax.__version__)
  summary = json.loads((workdir / "summary.json").read_text())
  assert about["params_sha256"] == summary["params_sha256"]
  assert about["images"]["shape"] == ["b", "h", "w", 3]
  assert about["output"] == {
    "dtype": "uint8", "shape": ["b", "h", "w"], "values": "classes; row i of classes.json is class i"
  }  # fmt: skip
  assert about["agreement"] == {"pixels": 28788, "equal": 1.0}


def test_export_is_reproducible_without_local_paths(served, workdir, tmp_path):
  export(workdir, tmp_path / "again")
  for name in ("model.jaxexport", "variables.npz"):
    content = (served / name).read_bytes()
    assert content == (tmp_path / "again" / name).read_bytes()
    assert str(ROOT).encode() not in content
    assert b"site-packages" not in content


@pytest.mark.parametrize(
  ("name", "pool"),
  [
    *((name, "max") for name in NAMES),
    *(("vgg16", pool) for pool in ("ppool", "dpp", "lp")),
    *(sweep("vgg16", pool) for pool in POOLS if pool not in ("max", "ppool", "dpp", "lp")),
    *(sweep(name, "ppool") for name in NAMES if name != "vgg16"),
  ],
)
def test_every_network_and_every_pool_takes_any_batch_and_size(name, pool):
  config = tiny_config(f"runlocal,pool={pool}", model__name=name, model__width=0.1)
  experiment = make_experiment(config)
  run = Run(config, experiment, 0, varied(experiment.model, np.zeros((1, 64, 64, 3))))
  exported = lower_model(run, "probabilities", PLATFORMS, None)
  assert exported.platforms == ("cpu", "cuda", "tpu")
  assert [str(side) for side in exported.out_avals[0].shape] == ["b", "h", "w", "9"]
  if pool == "max":
    return  # P-pooling covers all operations of max pooling
  model = jax_export.deserialize(exported.serialize())
  variables = flax.traverse_util.flatten_dict(run.variables, sep="/")
  images = noise(1, 40, 70)
  output = np.asarray(jax.jit(model.call)(variables, images))
  expected = np.asarray(jax.jit(make_predict_fn(experiment))(run.variables, images))
  assert expected.std() > 0.01
  np.testing.assert_allclose(output, expected, atol=1e-3)  # random weights make logits in the hundreds


def test_disagreement_with_the_checkpoint_is_refused(served, workdir, tmp_path, monkeypatch):
  shutil.copytree(served, tmp_path / "damaged")
  run = open_run(workdir)
  exported = jax_export.deserialize(bytearray((served / "model.jaxexport").read_bytes()))
  wrong = {name: -array for name, array in np.load(served / "variables.npz").items()}
  np.savez(tmp_path / "damaged/variables.npz", **wrong)
  with pytest.raises(ValueError, match="classes differ from the checkpoint's at"):
    artifact.measure_agreement(tmp_path / "damaged", run, exported, None)
  monkeypatch.setattr(artifact, "MIN_AGREEMENT", 1.1)
  with pytest.raises(ValueError, match="nothing was written"):
    export(workdir, tmp_path / "new")
  assert [path.name for path in tmp_path.iterdir()] == ["damaged"]


def test_a_model_for_other_platforms_is_not_compared(workdir, tmp_path, capsys, monkeypatch):
  """An empty folder, here the working directory, is filled and not replaced."""
  monkeypatch.chdir(tmp_path)
  assert export(workdir, ".", platforms=("tpu",))["agreement"] is None
  assert "model.jaxexport" in os.listdir()
  assert "not compared with the checkpoint" in capsys.readouterr().out
  assert json.loads((tmp_path / "model.json").read_text())["platforms"] == ["tpu"]


def test_invalid_arguments_are_refused(served, workdir, tmp_path):
  with pytest.raises(FileNotFoundError, match="no run there"):
    export(tmp_path / "none", tmp_path / "out")
  with pytest.raises(ValueError, match="expected a checkpoint of step 77"):
    export(workdir, tmp_path / "out", step=77)
  with pytest.raises(ValueError, match="expected a new or an empty folder, but it is not empty"):
    export(workdir, served)
  with pytest.raises(ValueError, match="expected a new or an empty folder"):
    export(workdir, served / "model.json")
  with pytest.raises(ValueError, match="expected positive sides, got 0x32"):
    export(workdir, tmp_path / "out", fixed=(0, 32))
  shutil.copytree(workdir, tmp_path / "fresh", ignore=shutil.ignore_patterns("checkpoints", "best"))
  with pytest.raises(FileNotFoundError, match="no checkpoint there yet"):
    export(tmp_path / "fresh", tmp_path / "out")
  assert not (tmp_path / "out").exists()
  code, output = run_program(["train.export", "--workdir", "x", "--out", "y", "--fixed", "32"])
  assert code == 2
  assert "expected HEIGHTxWIDTH such as 512x1024, got '32'" in output

"""An exported model predicts in a process without this project what the checkpoint predicts."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig

import flax
import jax
import numpy as np
import pytest
from jax import export as jax_export
from PIL import Image

from ppool_jax import POOLS, models
from ppool_jax.weights import Preprocess
from tests.helpers.networks import varied
from tests.helpers.training import ROOT, run as run_program, tiny_config
from train.data.classes import ClassTable, LabelClass
from train.evaluation.predictor import Predictor
from train.evaluation.tta import make_predict_fn
from train.experiment.experiment import make_experiment
from train.experiment.run import Run, open_run
from train.loop.loop import train
from train.serving import artifact
from train.serving.export import PLATFORMS, export
from train.serving.lowering import lower_model

# Packages without their .pth files, one of which brings this project.
ALONE = f"""
import sys
sys.path.append({sysconfig.get_path("purelib")!r})
for name in ("ppool_jax", "train", "configs"):
  try:
    __import__(name)
  except ModuleNotFoundError:
    continue
  sys.exit(f"{{name}} is there")
"""
PREDICT = """
import jax, numpy as np
from jax import export
folder, images = sys.argv[1:]
model = export.deserialize(bytearray(open(f"{folder}/model.jaxexport", "rb").read()))
variables, images = dict(np.load(f"{folder}/variables.npz")), np.load(images)
np.savez("outputs.npz", **{name: jax.jit(model.call)(variables, images[name]) for name in images})
assert not {"ppool_jax", "train", "flax"} & set(sys.modules)
"""


def alone(code, folder, *arguments):
  """The output of a program in `folder` that cannot import this project."""
  env = {**os.environ, "XLA_FLAGS": ""}
  command = [sys.executable, "-I", "-S", "-c", ALONE + code, *map(str, arguments)]
  done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
  assert done.returncode == 0, done.stderr
  return done.stdout


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
  folder = tmp_path_factory.mktemp("runs") / "ppool"
  train(tiny_config("runlocal,pool=ppool"), folder)
  return folder


@pytest.fixture(scope="module")
def served(workdir, tmp_path_factory):
  folder = tmp_path_factory.mktemp("exports") / "served"
  code, output = run_program(["train.export", "--workdir", str(workdir), "--out", str(folder)])
  assert code == 0, output
  assert "step 6 for cpu, cuda, tpu; 100.0000% of 28788 pixels have the checkpoint's classes" in output
  return folder


@pytest.fixture(scope="module")
def predict(workdir):
  run = open_run(workdir)
  predictor = Predictor(run.experiment, run.config)
  return lambda images: predictor(run.variables, images)


def noise(*shape):
  return np.random.default_rng(sum(shape)).integers(0, 256, (*shape, 3), np.uint8)


def photograph(path):
  """A picture with large areas, so that classes differ, and its pixels as a reader sees them."""
  pixels = noise(5, 7).repeat(9, 0).repeat(9, 1)[:40, :50]
  Image.fromarray(pixels).save(path, quality=95)
  with Image.open(path) as image:
    return np.asarray(image.convert("RGB"))


def test_batches_and_sizes_without_this_project(served, predict, tmp_path):
  shapes = {"whole": (1, 32, 48), "larger": (3, 64, 40), "odd": (2, 33, 47), "dot": (5, 1, 1)}
  images = {name: noise(*shape) for name, shape in shapes.items()}
  np.savez(tmp_path / "images.npz", **images)
  alone(PREDICT, tmp_path, served, tmp_path / "images.npz")
  with np.load(tmp_path / "outputs.npz") as outputs:
    for name, batch in images.items():
      output, expected = outputs[name], predict(batch)
      assert output.dtype == np.uint8
      assert output.shape == batch.shape[:3]
      assert name == "dot" or len(np.unique(expected)) > 2
      # Where sides do not divide, the products are taken in another order.
      assert (output != expected).mean() <= (1e-3 if name == "odd" else 0)


def test_the_program_beside_the_model(served, workdir, predict, tmp_path):
  image = photograph(tmp_path / "photo.png")
  code = "import runpy\nsys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')"
  alone(code, tmp_path, served / "predict.py", "photo.png")
  with Image.open(tmp_path / "photo.png-classes.png") as written:
    np.testing.assert_array_equal(np.asarray(written), predict(image[None])[0])
    assert written.getpalette()[: 3 * 9] == open_run(workdir).experiment.table.palette()[:9].ravel().tolist()


def test_the_example_of_the_documentation(served, predict, tmp_path):
  section = (ROOT / "docs/TRAINING.md").read_text().partition("## Export")[2]
  (block,) = re.findall(r"```python\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
  shutil.copytree(served, tmp_path / "served")
  image = photograph(tmp_path / "photo.jpg")
  shares = ast.literal_eval(alone(block, tmp_path))
  names = [row["name"] for row in json.loads((served / "classes.json").read_text())]
  expected = predict(image[None])
  assert len(shares) > 2
  assert shares == {names[i]: (expected == i).mean() for i in np.unique(expected)}


def test_what_lies_beside_the_model(served, workdir):
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


def test_the_same_bytes_again_and_nothing_of_this_machine(served, workdir, tmp_path):
  export(workdir, tmp_path / "again")
  for name in ("model.jaxexport", "variables.npz"):
    content = (served / name).read_bytes()
    assert content == (tmp_path / "again" / name).read_bytes()
    assert str(ROOT).encode() not in content
    assert b"site-packages" not in content


def test_views_and_probabilities_of_images_of_one_size(workdir, tmp_path):
  """As the config says: two scales, mirrored, in windows."""
  shutil.copytree(workdir, tmp_path / "run")
  config = json.loads((workdir / "config.json").read_text())
  config["eval"].update(scales=[0.5, 1.0], flip=True, window=[24, 32], stride=[16, 16], pad_multiple=32)
  (tmp_path / "run/config.json").write_text(json.dumps(config))
  with pytest.raises(ValueError, match="need images of one size: --fixed HxW"):
    export(tmp_path / "run", tmp_path / "out")
  options = {"output": "probabilities", "platforms": ("cpu",), "fixed": (30, 44)}
  about = export(tmp_path / "run", **options)
  (tmp_path / "run/export").rename(tmp_path / "out")
  assert about["agreement"]["equal"] > 0.999  # Predictor's, with the same views
  assert about["sizes"] == "30x44"
  model = jax_export.deserialize(bytearray((tmp_path / "out/model.jaxexport").read_bytes()))
  variables = dict(np.load(tmp_path / "out/variables.npz"))
  output = np.asarray(jax.jit(model.call)(variables, noise(3, 30, 44)))
  assert output.shape == (3, 30, 44, 9)
  assert output.dtype == np.float32
  np.testing.assert_allclose(output.sum(-1), 1, rtol=1e-5)
  with pytest.raises(ValueError, match="44"):
    jax.jit(model.call)(variables, noise(3, 44, 30))
  with pytest.raises(ValueError, match="uint8"):
    jax.jit(model.call)(variables, noise(3, 30, 44).astype(np.float32))


@pytest.mark.parametrize(
  ("name", "pool"),
  [
    *((name, pool) for name in models.NETWORKS if name != "vgg_mini" for pool in ("max", "ppool")),
    *(("vgg16", pool) for pool in POOLS if pool not in ("max", "ppool")),
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
    return  # P-pooling has all that max pooling has
  model = jax_export.deserialize(exported.serialize())
  variables = flax.traverse_util.flatten_dict(run.variables, sep="/")
  images = noise(1, 40, 70)
  output = np.asarray(jax.jit(model.call)(variables, images))
  expected = np.asarray(jax.jit(make_predict_fn(experiment))(run.variables, images))
  assert expected.std() > 0.01
  np.testing.assert_allclose(output, expected, atol=1e-3)  # random weights make logits of hundreds


def test_other_predictions_than_the_checkpoints_are_refused(served, workdir, tmp_path, monkeypatch):
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
  """And an empty folder, here the working directory, is filled, not replaced."""
  monkeypatch.chdir(tmp_path)
  assert export(workdir, ".", platforms=("tpu",))["agreement"] is None
  assert "model.jaxexport" in os.listdir()
  assert "not compared with the checkpoint" in capsys.readouterr().out
  assert json.loads((tmp_path / "model.json").read_text())["platforms"] == ["tpu"]


def test_errors(served, workdir, tmp_path):
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

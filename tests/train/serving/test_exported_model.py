"""An exported model predicts in a process without this project what the checkpoint predicts."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig

import jax
import numpy as np
import pytest
from jax import export as jax_export
from PIL import Image

from tests.helpers.serving import noise, photograph
from tests.helpers.training import ROOT
from train.experiment.run import open_run
from train.serving.export import export

# The installed packages without .pth files, one of which would add this project.
WITHOUT_PROJECT = f"""
import sys
sys.path.append({sysconfig.get_path("purelib")!r})
for name in ("ppool_jax", "train", "configs"):
  try:
    __import__(name)
  except ModuleNotFoundError:
    continue
  sys.exit(f"{{name}} can be imported")
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


def run_without_project(code, folder, *arguments):
  """Runs a program in `folder` that cannot import this project, and returns its output."""
  env = {**os.environ, "XLA_FLAGS": ""}
  command = [sys.executable, "-I", "-S", "-c", WITHOUT_PROJECT + code, *map(str, arguments)]
  done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
  assert done.returncode == 0, done.stderr
  return done.stdout


def test_any_batch_and_size_without_this_project(served, predict, tmp_path):
  shapes = {"whole": (1, 32, 48), "larger": (3, 64, 40), "odd": (2, 33, 47), "dot": (5, 1, 1)}
  images = {name: noise(*shape) for name, shape in shapes.items()}
  np.savez(tmp_path / "images.npz", **images)
  run_without_project(PREDICT, tmp_path, served, tmp_path / "images.npz")
  with np.load(tmp_path / "outputs.npz") as outputs:
    for name, batch in images.items():
      output, expected = outputs[name], predict(batch)
      assert output.dtype == np.uint8
      assert output.shape == batch.shape[:3]
      assert name == "dot" or len(np.unique(expected)) > 2
      # For odd sides the products are summed in another order.
      assert (output != expected).mean() <= (1e-3 if name == "odd" else 0)


def test_the_example_program_predicts(served, workdir, predict, tmp_path):
  image = photograph(tmp_path / "photo.png")
  code = "import runpy\nsys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')"
  run_without_project(code, tmp_path, served / "predict.py", "photo.png")
  with Image.open(tmp_path / "photo.png-classes.png") as written:
    np.testing.assert_array_equal(np.asarray(written), predict(image[None])[0])
    assert written.getpalette()[: 3 * 9] == open_run(workdir).experiment.table.palette()[:9].ravel().tolist()


def test_the_example_program_refuses_what_it_would_misread(served, tmp_path):
  """A 16-bit image, a truncated one, and a result that exists; one line for each."""
  photograph(tmp_path / "photo.png")
  (tmp_path / "cut.png").write_bytes((tmp_path / "photo.png").read_bytes()[:60])
  Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "deep.png")
  (tmp_path / "photo.png-classes.png").write_bytes(b"mine")
  for name, message in (("cut", "not a readable image"), ("deep", "8 bits per channel"), ("photo", "exists")):
    done = subprocess.run(
      [sys.executable, served / "predict.py", f"{name}.png"],
      cwd=tmp_path,
      capture_output=True,
      text=True,
      timeout=300,
    )
    assert done.returncode == 1, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
  assert (tmp_path / "photo.png-classes.png").read_bytes() == b"mine"


def test_the_example_of_the_documentation(served, predict, tmp_path):
  section = (ROOT / "docs/TRAINING.md").read_text().partition("## Export")[2]
  (block,) = re.findall(r"```python\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
  shutil.copytree(served, tmp_path / "served")
  image = photograph(tmp_path / "photo.jpg")
  shares = ast.literal_eval(run_without_project(block, tmp_path))
  names = [row["name"] for row in json.loads((served / "classes.json").read_text())]
  expected = predict(image[None])
  assert len(shares) > 2
  assert shares == {names[i]: (expected == i).mean() for i in np.unique(expected)}


def test_tta_and_probabilities_of_a_fixed_size(workdir, tmp_path):
  """With two scales, flips and windows of the config."""
  shutil.copytree(workdir, tmp_path / "run")
  config = json.loads((workdir / "config.json").read_text())
  config["eval"].update(scales=[0.5, 1.0], flip=True, window=[24, 32], stride=[16, 16], pad_multiple=32)
  (tmp_path / "run/config.json").write_text(json.dumps(config))
  with pytest.raises(ValueError, match="need images of one size: --fixed HxW"):
    export(tmp_path / "run", tmp_path / "out")
  options = {"output": "probabilities", "platforms": ("cpu",), "fixed": (30, 44)}
  about = export(tmp_path / "run", **options)
  (tmp_path / "run/export").rename(tmp_path / "out")
  assert about["agreement"]["equal"] > 0.999  # with the Predictor's classes, with the same TTA
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

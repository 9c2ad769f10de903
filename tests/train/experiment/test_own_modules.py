"""Runs the files and shell commands of docs/OWN_ALPHA.md in another directory."""

import json
import re
import subprocess

import numpy as np
import pytest
from PIL import Image

from tests.helpers.training import ROOT, one_device

PAGE = (ROOT / "docs" / "OWN_ALPHA.md").read_text()


def shell(command, folder):
  """Exit status and output of a bash command in `folder`."""
  env = {**one_device(), "CLONE": str(ROOT)}
  env.pop("PYTHONPATH", None)
  done = subprocess.run(
    ["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=300
  )
  return done.returncode, done.stdout + done.stderr


def blocks(language):
  return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


SETUP = "\n".join(line for line in blocks("sh")[0].splitlines() if "-m train" not in line) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """A folder with the page's files and images, in which its commands have run."""
  folder = tmp_path_factory.mktemp("elsewhere")
  for block in blocks("python"):
    (folder / re.match(r"# (\w+\.py)", block)[1]).write_text(block)
  (folder / "photos").mkdir()
  pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
  Image.fromarray(pixels).save(folder / "photos" / "one.png")
  status, output = shell("set -e\n" + blocks("sh")[0], folder)
  assert status == 0, output
  return folder


def test_the_commands_of_the_page(folder):
  """The training keeps the source and its keywords, and the alpha maps are drawn."""
  config = json.loads((folder / "runs" / "contrast" / "config.json").read_text())
  assert config["alpha"] == {"name": "by_contrast:ByContrast", "initial": 3.0, "range": "softplus"}
  assert list((folder / "maps").glob("one-alpha-*.png"))
  logged = (folder / "runs" / "contrast" / "metrics.jsonl").read_text()
  assert '"alpha/pool1/mean"' in logged


def test_evaluation_and_export_find_the_custom_module(folder):
  evaluate, export = (
    "-m train.evaluate --workdir runs/contrast",
    "-m train.export --workdir runs/contrast --out served",
  )
  status, output = shell(f"set -e\n{SETUP}$PYTHON {evaluate}\n$PYTHON {export}", folder)
  assert status == 0, output
  assert (folder / "served" / "model.jaxexport").is_file()


def test_missing_module_is_named(folder, tmp_path):
  status, output = shell(f"{SETUP}$PYTHON -m train.evaluate --workdir {folder}/runs/contrast", tmp_path)
  assert status == 1
  assert "alpha: 'by_contrast:ByContrast': no module 'by_contrast' in " in output
  assert str(tmp_path) in output
  assert "Traceback" not in output


def test_own_pool(folder):
  status, output = shell("set -e\n" + SETUP + blocks("sh")[1], folder)
  assert status == 0, output
  config = json.loads((folder / "runs" / "midrange" / "config.json").read_text())
  assert (config["pool"], config["pool_kwargs"]) == ("midrange:MidrangePool", {"share": 0.75})


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("raise RuntimeError('broken')", "importing 'broken' raised RuntimeError: broken"),
    ("import nothing_of_this_name", "importing 'broken' raised ModuleNotFoundError"),
    ("sources = 3", "has no 'Source' (did you mean 'sources'?)"),
    ("Source = 3", "expected a Module class or another factory, got 3"),
  ],
)
def test_invalid_module_gives_a_one_line_error(folder, tmp_path, text, message):
  (tmp_path / "broken.py").write_text(text)
  command = "-m train --config=$CLONE/configs/quickstart.py:pool=ppool,alpha=broken:Source --workdir=run"
  status, output = shell(f"{SETUP}$PYTHON {command}", tmp_path)
  assert status == 1
  assert message in output
  assert "Traceback" not in output
  assert not (tmp_path / "run").exists()

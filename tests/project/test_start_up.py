"""What importing does: nothing to any device."""

import os
import subprocess
import sys

import pytest

from tests.helpers.training import ROOT

# No such platform: whatever asks JAX for a device fails.
NO_DEVICE = {**os.environ, "JAX_PLATFORMS": "nowhere", "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(
  "module", ["ppool_jax", "train.loop.loop", "train.evaluation.evaluate", "train.prepare"]
)
def test_importing_touches_no_device(module):
  code = f"import {module}, jax\ntry: jax.devices()\nexcept RuntimeError: print('none')"
  done = subprocess.run(
    [sys.executable, "-c", code], env=NO_DEVICE, capture_output=True, text=True, timeout=60
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout == "none\n"


def test_importing_the_library_loads_no_training_packages():
  """Nor what only reading weights or training needs, which takes seconds."""
  code = "import sys, ppool_jax; print(*sys.modules)"
  done = subprocess.run(
    [sys.executable, "-c", code], env=NO_DEVICE, capture_output=True, text=True, timeout=60
  )
  loaded = set(done.stdout.split())
  assert "ppool_jax" in loaded
  assert not loaded & {
    "train",
    "configs",
    "optax.contrib",
    "tensorflow_datasets",
    "torch",
    "h5py",
    "grain",
    "cv2",
  }


def test_the_log_does_not_load_pytorch(tmp_path):
  """tensorboardX would, which takes a second at every start; a module of that name shows that it is not."""
  (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
  code = (
    "import pathlib, sys; from train.loop.metric_writer import MetricWriter\n"
    f"with MetricWriter(pathlib.Path({str(tmp_path)!r}), 0) as log: log.write(1, {{'loss': 2.0}})\n"
    "print('torch' in sys.modules)"
  )
  environment = {**NO_DEVICE, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
  done = subprocess.run(
    [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
  )
  assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonsense", "svg"])
def test_any_matplotlib_backend_is_accepted(backend):
  """Jupyter and Colab export theirs to the programs that they start."""
  code = (
    "import train.report, ppool_jax.figures, matplotlib, os\n"
    "from matplotlib.figure import Figure\n"
    "Figure().savefig(os.devnull, format='png')\n"
    "print(os.environ['MPLBACKEND'], matplotlib.rcParams['backend'] == 'svg')"
  )
  done = subprocess.run(
    [sys.executable, "-c", code],
    env={**NO_DEVICE, "MPLBACKEND": backend},
    capture_output=True,
    text=True,
    timeout=60,
  )
  assert done.stdout == f"{backend} {backend == 'svg'}\n", done.stderr

"""Independent implementations for comparison, where they are installed (`make env EXTRAS=peers`)."""

import os
import warnings

import numpy as np
import pytest

from tests.helpers.networks import relative

os.environ.setdefault("KERAS_BACKEND", "jax")

# Raised by Keras's own conversion of arrays to NumPy.
quiet = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
RNG = np.random.default_rng


def _imported(name):
  """Imports a module without its warnings, or skips the test if it is not installed."""
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    return pytest.importorskip(name, reason=f"{name} is not installed: make env EXTRAS=peers")


def keras():
  return _imported("keras")


def torch():
  return _imported("torch")


def torchvision():
  """torchvision, whose CUDA wheels expect two operators that a PyTorch for the CPU lacks."""
  library = torch().library.Library("torchvision", "FRAGMENT")
  for name in ("nms", "qnms"):
    try:
      library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    except RuntimeError:  # The operator exists in a matching PyTorch.
      break
  _KEPT.append(library)
  return _imported("torchvision")


_KEPT = []  # A library's definitions are removed with it.


def timm():
  torchvision()
  return _imported("timm")


def pretrainedmodels():
  torchvision()
  return _imported("pretrainedmodels")


def cityscapes_evaluation():
  """The publisher's evaluation of label maps."""
  return _imported("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")


def randomize_keras(model, seed=0):
  """Draws He-normal kernels, and batch statistics, scales and biases that differ from 0 and 1."""
  rng = RNG(seed)
  model.set_weights([_draw(rng, w.path, np.shape(w)) for w in model.weights])
  return model


def randomize_torch(module, seed=0):
  """The same for a PyTorch module, in evaluation mode."""
  rng = RNG(seed)
  state = {
    name: torch().from_numpy(_draw(rng, name, tuple(value.shape), torch_layout=True))
    if value.is_floating_point()
    else value
    for name, value in module.state_dict().items()
  }
  module.load_state_dict(state)
  return module.eval()


def _draw(rng, name, shape, torch_layout=False):
  if len(shape) > 1:
    fan_in = np.prod(shape[1:] if torch_layout else shape[:-1])
    if "depthwise" in name:
      fan_in = 9
    return (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)
  if "var" in name or "gamma" in name or name.endswith("weight"):
    return rng.uniform(0.5, 1.5, shape).astype(np.float32)
  return (0.1 * rng.standard_normal(shape)).astype(np.float32)


def check_close(actual, expected, name, bound=1e-4):
  """Checks and prints the largest difference relative to the largest value."""
  difference = relative(actual, expected)
  print(f"{name}: relative difference {difference:.2e}")
  assert difference < bound, name

"""VGG-16's classifier through files of Keras and torchvision, which flatten its last feature differently."""

import gc

import jax
import numpy as np
import peers
import pytest

from ppool_jax import models, weights

pytestmark = peers.quiet
IMAGES = np.random.default_rng(1).uniform(-100, 100, (1, 224, 224, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def _freed():
  """Half a gigabyte of parameters, several times."""
  yield
  gc.collect()


def test_keras(tmp_path):
  """Flattened HWC; saved in Keras 3's layout."""
  path = tmp_path / "vgg16.weights.h5"
  model = peers.keras().applications.VGG16(weights=None, classifier_activation=None)
  assert model.count_params() == 138_357_544
  peers.randomise_keras(model).save_weights(path)
  check(path, np.asarray(model(IMAGES)))


def test_torchvision(tmp_path):
  """Flattened CHW."""
  path, torch = tmp_path / "vgg16.pth", peers.torch()
  model = peers.randomise_torch(peers.torchvision().models.vgg16(weights=None))
  torch.save(model.state_dict(), path)
  with torch.no_grad():
    check(path, model(torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy())).numpy())


def check(path, expected):
  variables, _ = weights.load("vgg16", path, classifier=True)
  model = models.backbone("vgg16", num_classes=1000)
  assert peers.relative(jax.jit(model.apply)(variables, IMAGES), expected) < 1e-4
  # A permutation of what fc6 reads is seen: the feature's 49 positions differ.
  kernel = variables["params"]["fc6"]["kernel"]
  variables["params"]["fc6"]["kernel"] = kernel.transpose(1, 0, 2, 3)
  assert peers.relative(jax.jit(model.apply)(variables, IMAGES), expected) > 1e-2
  trunk, _ = weights.load("vgg16", path)
  assert set(trunk["params"]) == {name for name in variables["params"] if name.startswith("conv")}

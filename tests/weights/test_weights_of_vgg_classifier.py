"""VGG-16 through files of Keras and torchvision, which flatten its last feature in different orders."""

import gc

import jax
import numpy as np
import pytest

from ppool_jax import models, weights
from tests.helpers import peers

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
  keras = peers.keras()
  model = keras.applications.VGG16(weights=None, classifier_activation=None)
  assert model.count_params() == 138_357_544
  peers.randomise_keras(model).save_weights(path)
  stages = [model.get_layer(f"block{stage}_pool").output for stage in range(1, 6)]
  *features, logits = map(np.asarray, keras.Model(model.input, [*stages, model.output])(IMAGES))
  check(path, features, logits)


def test_torchvision(tmp_path):
  """Flattened CHW."""
  path, torch = tmp_path / "vgg16.pth", peers.torch()
  model = peers.randomise_torch(peers.torchvision().models.vgg16(weights=None))
  torch.save(model.state_dict(), path)
  features = []
  for layer in model.features:
    if isinstance(layer, torch.nn.MaxPool2d):
      layer.register_forward_hook(lambda _, __, out: features.append(out.permute(0, 2, 3, 1).numpy()))
  with torch.no_grad():
    logits = model(torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy())).numpy()
  check(path, features, logits)


def check(path, features, expected):
  trunk, _ = weights.load("vgg16", path)
  ours = jax.jit(models.backbone("vgg16", output_stride=32).apply)(trunk, IMAGES)
  assert len(features) == 5
  for stage, feature in enumerate(features, 1):
    assert peers.relative(ours[f"pool{stage}"], feature) < 1e-4, stage
  variables, _ = weights.load("vgg16", path, classifier=True)
  model = models.backbone("vgg16", num_classes=1000)
  assert peers.relative(jax.jit(model.apply)(variables, IMAGES), expected) < 1e-4
  # A permutation of what fc6 reads is seen: the feature's 49 positions differ.
  kernel = variables["params"]["fc6"]["kernel"]
  variables["params"]["fc6"]["kernel"] = kernel.transpose(1, 0, 2, 3)
  assert peers.relative(jax.jit(model.apply)(variables, IMAGES), expected) > 1e-2
  assert set(trunk["params"]) == {name for name in variables["params"] if name.startswith("conv")}

"""VGG-16's classifier compared with Keras and torchvision, which flatten its input in different orders."""

import gc

import jax
import numpy as np
import pytest

from ppool_jax import models, weights
from tests.helpers import peers
from tests.helpers.networks import relative

pytestmark = peers.quiet
IMAGES = np.random.default_rng(1).uniform(-100, 100, (1, 224, 224, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def _freed():
  """Frees the parameters, half a gigabyte several times."""
  yield
  gc.collect()


def test_logits_equal_those_of_keras(tmp_path):
  """Keras flattens HWC; the file has Keras 3's layout."""
  path = tmp_path / "vgg16.weights.h5"
  keras = peers.keras()
  model = keras.applications.VGG16(weights=None, classifier_activation=None)
  assert model.count_params() == 138_357_544
  peers.randomize_keras(model).save_weights(path)
  stages = [model.get_layer(f"block{stage}_pool").output for stage in range(1, 6)]
  *features, logits = map(np.asarray, keras.Model(model.input, [*stages, model.output])(IMAGES))
  check(path, features, logits)


def test_logits_equal_those_of_torchvision(tmp_path):
  """torchvision flattens CHW."""
  path, torch = tmp_path / "vgg16.pth", peers.torch()
  model = peers.randomize_torch(peers.torchvision().models.vgg16(weights=None))
  torch.save(model.state_dict(), path)
  features = []
  for layer in model.features:
    if isinstance(layer, torch.nn.MaxPool2d):
      layer.register_forward_hook(lambda _, __, out: features.append(out.permute(0, 2, 3, 1).numpy()))
  with torch.no_grad():
    logits = model(torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy())).numpy()
  check(path, features, logits)


def check(path, features, expected):
  backbone, _ = weights.load("vgg16", path)
  found = jax.jit(models.backbone("vgg16", output_stride=32).apply)(backbone, IMAGES)
  assert len(features) == 5
  for stage, feature in enumerate(features, 1):
    peers.check_close(found[f"pool{stage}"], feature, f"pool{stage}")
  variables, _ = weights.load("vgg16", path, classifier=True)
  model = models.backbone("vgg16", num_classes=1000)
  peers.check_close(jax.jit(model.apply)(variables, IMAGES), expected, "logits")
  # Another order of fc6's inputs changes the logits: the feature's 49 positions differ.
  kernel = variables["params"]["fc6"]["kernel"]
  variables["params"]["fc6"]["kernel"] = kernel.transpose(1, 0, 2, 3)
  assert relative(jax.jit(model.apply)(variables, IMAGES), expected) > 1e-2
  assert set(backbone["params"]) == {name for name in variables["params"] if name.startswith("conv")}

"""ResNet-50 compared with Keras and torchvision, through files that they wrote."""

import jax
import numpy as np
import pytest
import safetensors.numpy

from ppool_jax import models, weights
from tests.helpers import peers

pytestmark = peers.quiet
IMAGES = np.random.default_rng(1).uniform(-2, 2, (2, 64, 96, 3)).astype(np.float32)
ENDS = {"res2": 3, "res3": 4, "res4": 6, "res5": 3}


@pytest.fixture(scope="module")
def keras_model():
  model = peers.keras().applications.ResNet50(weights=None)
  assert model.count_params() == 25_636_712
  return peers.randomize_keras(model)


@pytest.fixture(scope="module")
def keras_features(keras_model):
  keras = peers.keras()
  backbone = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(64, 96, 3))
  backbone.set_weights(keras_model.get_weights()[:-2])
  names = {"conv1": "conv1_relu", "pool1": "pool1_pool"}
  names |= {stage: f"conv{stage[3]}_block{depth}_out" for stage, depth in ENDS.items()}
  outputs = [backbone.get_layer(name).output for name in names.values()]
  return dict(zip(names, keras.Model(backbone.input, outputs)(IMAGES), strict=True))


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_features_and_logits_equal_those_of_keras(keras_model, keras_features, tmp_path, suffix):
  """The biases of convolutions are folded into the means of batch norms."""
  path = tmp_path / f"resnet50{suffix}"
  (keras_model.save_weights if suffix == ".weights.h5" else keras_model.save)(path)
  check_features("resnet50", path, keras_features, {"epsilon": 1.001e-5})
  logits = keras_model.layers[-1](keras_features["res5"].mean((1, 2)))
  check_logits("resnet50", path, logits, softmax=True)


@pytest.fixture(scope="module")
def torch_model():
  model = peers.torchvision().models.resnet50(weights=None)
  assert sum(p.numel() for p in model.parameters()) == 25_557_032
  return peers.randomize_torch(model)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_features_and_logits_equal_those_of_torchvision(torch_model, tmp_path, suffix):
  """v1.5, which has the strides in the 3x3 convolutions."""
  torch, path = peers.torch(), tmp_path / f"resnet50{suffix}"
  if suffix == ".pth":
    torch.save(torch_model.state_dict(), path)
  else:
    safetensors.numpy.save_file({n: v.numpy() for n, v in torch_model.state_dict().items()}, path)
  with torch.no_grad():
    x, expected = torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy()), {}
    expected["conv1"] = x = torch_model.relu(torch_model.bn1(torch_model.conv1(x)))
    expected["pool1"] = x = torch_model.maxpool(x)
    for stage in ENDS:
      expected[stage] = x = getattr(torch_model, f"layer{int(stage[3]) - 1}")(x)
    logits = torch_model.fc(x.mean((2, 3))).numpy()
  expected = {name: value.permute(0, 2, 3, 1).numpy() for name, value in expected.items()}
  check_features("resnet50", path, expected, {"v1_5": True})
  check_logits("resnet50", path, logits)


def check_features(network, path, expected, options):
  pretrained = weights.pretrained(network, path)
  assert pretrained.options == options
  model = models.backbone(network, **options)
  features = jax.jit(model.apply)(pretrained.variables, IMAGES)
  for name, value in expected.items():
    peers.check_close(features[name], value, name)


def check_logits(network, path, expected, softmax=False):
  pretrained = weights.pretrained(network, path, classifier=True)
  model = models.backbone(network, num_classes=1000, **pretrained.options)
  logits = jax.jit(model.apply)(pretrained.variables, IMAGES)
  peers.check_close(jax.nn.softmax(logits) if softmax else logits, expected, "logits")

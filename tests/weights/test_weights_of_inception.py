"""BN-Inception compared with pretrainedmodels, through files that PyTorch wrote."""

import itertools

import jax
import numpy as np
import pytest
import safetensors.numpy

from ppool_jax import models, weights
from tests.helpers import peers

IMAGES = np.random.default_rng(1).uniform(-100, 100, (1, 224, 224, 3)).astype(np.float32)
BLOCKS = ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b")


@pytest.fixture(scope="module")
def model():
  model = peers.pretrainedmodels().bninception(num_classes=1000, pretrained=None)
  assert sum(p.numel() for p in model.parameters()) == 11_295_240
  return peers.randomize_torch(model)


@pytest.fixture(scope="module")
def expected(model):
  """Every feature, captured as the input of the next block, and the logits."""
  torch, seen = peers.torch(), {}
  names = {"conv1_7x7_s2": "conv1_relu_7x7", "pool1": "pool1_3x3_s2", "conv2_3x3": "conv2_relu_3x3"}
  names |= {"pool2": "pool2_3x3_s2"}
  for name, layer in names.items():
    getattr(model, layer).register_forward_hook(lambda _, __, out, n=name: seen.__setitem__(n, out.clone()))
  for before, block in itertools.pairwise(BLOCKS):
    layer = getattr(model, f"inception_{block}_3x3_reduce")
    layer.register_forward_pre_hook(lambda _, x, n=f"inception_{before}": seen.__setitem__(n, x[0].clone()))
  model.global_pool.register_forward_pre_hook(lambda _, x: seen.__setitem__("inception_5b", x[0].clone()))
  with torch.no_grad():
    logits = model(torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy())).numpy()
  return {n: x.permute(0, 2, 3, 1).numpy() for n, x in seen.items()}, logits


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_features_and_logits_equal_those_of_cadene(model, expected, tmp_path, suffix):
  path = tmp_path / f"bn_inception{suffix}"
  if suffix == ".pth":
    peers.torch().save(model.state_dict(), path)
  else:
    safetensors.numpy.save_file({n: v.numpy() for n, v in model.state_dict().items()}, path)
  variables, preprocess = weights.load("inceptionv2", path)
  assert preprocess == weights.preprocess.BN_INCEPTION
  features = jax.jit(models.backbone("inceptionv2").apply)(variables, IMAGES)
  assert set(features) == set(expected[0])
  for name, value in expected[0].items():
    peers.check_close(features[name], value, name)
  variables, _ = weights.load("inceptionv2", path, classifier=True)
  logits = jax.jit(models.backbone("inceptionv2", num_classes=1000).apply)(variables, IMAGES)
  peers.check_close(logits, expected[1], "logits")


def test_vectors_may_have_a_leading_dimension_of_one(model, tmp_path):
  """yjxiong's older port stores the arrays of batch norms as [1, C]."""
  state = {n: v.numpy() for n, v in model.state_dict().items()}
  path = tmp_path / "bn_inception.safetensors"
  safetensors.numpy.save_file({n: v[None] if "_bn." in n and v.ndim else v for n, v in state.items()}, path)
  variables, _ = weights.load("inceptionv2", path)
  mean = variables["batch_stats"]["inception_4a_1x1_norm"]["mean"]
  folded = state["inception_4a_1x1_bn.running_mean"] - state["inception_4a_1x1.bias"]
  np.testing.assert_allclose(mean, folded, rtol=1e-6)

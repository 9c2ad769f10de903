"""Xception compared with Keras and timm, through files that they wrote, and the published file's layout."""

import itertools

import jax
import numpy as np
import pytest
import safetensors.numpy

from ppool_jax import models, weights
from tests.helpers import peers
from tests.helpers.weights import write_keras

# At 71 the input of every pool has an odd size, for which the padding of TensorFlow and PyTorch is the same.
IMAGES = np.random.default_rng(1).uniform(-1, 1, (2, 71, 71, 3)).astype(np.float32)
BLOCKS = tuple(f"block{b}" for b in range(1, 13))
STAGES = ("conv1", "conv2", *BLOCKS, "conv3", "conv4")


pytestmark = pytest.mark.usefixtures("large_files")


@pytest.fixture(scope="module")
def keras_model():
  keras = peers.keras()
  keras.layers.Conv2D(1, 1)  # The numbers in Keras's names of other layers then start later.
  model = keras.applications.Xception(weights=None, input_shape=IMAGES.shape[1:], classifier_activation=None)
  assert model.count_params() == 22_910_480
  return peers.randomize_keras(model)


@pytest.fixture(scope="module")
def keras_features(keras_model):
  """Every feature and "logits"."""
  keras = peers.keras()
  sums = [layer.name for layer in keras_model.layers if isinstance(layer, keras.layers.Add)]
  names = ["block1_conv1_act", "block1_conv2_act", *sums, "block14_sepconv1_act", "block14_sepconv2_act"]
  outputs = [keras_model.get_layer(name).output for name in (*names, "predictions")]
  features = keras.Model(keras_model.input, outputs)(IMAGES)
  return dict(zip((*STAGES, "logits"), features, strict=True))


@peers.quiet
@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_features_and_logits_equal_those_of_keras(keras_model, keras_features, tmp_path, suffix):
  path = tmp_path / f"xception{suffix}"
  (keras_model.save_weights if suffix == ".weights.h5" else keras_model.save)(path)
  check(path, keras_features, {})


@peers.quiet
def test_published_file_of_keras_1_is_read(keras_model, keras_features, tmp_path):
  """Keras 1 generated all names and counted each kind from 1; its "running_std" are variances.

  The names are those in scripts that read xception_weights_tf_dim_ordering_tf_kernels.h5.
  """
  skips = [layer.name for layer in keras_model.layers if "conv2d" in layer.name]
  skip_norms = [layer.name for layer in keras_model.layers if "batch_normalization" in layer.name]
  assert len(skips) == len(skip_norms) == 4
  skip_norm = dict(zip((2, 3, 4, 13), skip_norms, strict=True))
  separable = [f"block{b}_sepconv{i}" for b in range(2, 15) for i in (1, 2, 3) if i < 3 or 5 <= b <= 12]
  norms = ["block1_conv1_bn", "block1_conv2_bn"]
  for block, names in itertools.groupby(separable, lambda name: int(name[5:7].strip("_"))):
    norms += [*([skip_norm[block]] if block in skip_norm else []), *(f"{name}_bn" for name in names)]
  kinds = {
    "convolution2d": (["block1_conv1", "block1_conv2", *skips], ("W",)),
    "separableconvolution2d": (separable, ("depthwise_kernel", "pointwise_kernel")),
    "batchnormalization": (norms, ("gamma", "beta", "running_mean", "running_std")),
  }
  layers = {
    f"{kind}_{i}": (keras_model.get_layer(name), parts)
    for kind, (names, parts) in kinds.items()
    for i, name in enumerate(names, 1)
  } | {"dense_2": (keras_model.get_layer("predictions"), ("W", "b"))}
  assert (len(separable), len(norms)) == (34, 40)
  path = tmp_path / "xception_weights_tf_dim_ordering_tf_kernels.h5"
  named = {
    name: {f"{name}_{part}:0": a for part, a in zip(parts, layer.get_weights(), strict=True)}
    for name, (layer, parts) in layers.items()
  }
  write_keras(path, named)
  check(path, keras_features, {})


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_features_and_logits_equal_those_of_timm(tmp_path, suffix):
  """Cadene's keys; the classifier is "fc" in timm and "last_linear" in pretrainedmodels."""
  torch = peers.torch()
  model = peers.randomize_torch(peers.timm().create_model("legacy_xception"))
  assert sum(p.numel() for p in model.parameters()) == 22_855_952
  path, state = tmp_path / f"xception{suffix}", model.state_dict()
  if suffix == ".pth":
    torch.save(state, path)
  else:
    renamed = {name.replace("fc.", "last_linear."): value.numpy() for name, value in state.items()}
    safetensors.numpy.save_file(renamed, path)
  check(path, timm_features(torch, model), {"epsilon": 1e-5})


def timm_features(torch, model):
  features = {}
  with torch.no_grad():
    x = torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy())
    for stage in STAGES:
      x = getattr(model, stage)(x)
      if stage not in BLOCKS:
        x = torch.relu(getattr(model, stage.replace("conv", "bn"))(x))
      features[stage] = x.permute(0, 2, 3, 1).numpy().copy()  # Blocks add in place.
    return {**features, "logits": model.fc(x.mean((2, 3))).numpy()}


def check(path, expected, options):
  """Checks every feature, and the logits with the classifier of the same file."""
  pretrained = weights.pretrained("xception", path, classifier=True)
  assert pretrained.options == options
  np.testing.assert_allclose(pretrained.preprocess(np.uint8([[[0, 51, 255]]])), [[[-1, -0.6, 1]]], rtol=1e-6)
  backbone, classifier = (models.backbone("xception", num_classes=n, **options) for n in (None, 1000))
  both = jax.jit(lambda v, x: {**backbone.apply(v, x), "logits": classifier.apply(v, x)})
  features = both(pretrained.variables, IMAGES)
  assert set(features) == set(expected)
  for name, value in expected.items():
    peers.check_close(features[name], value, name)

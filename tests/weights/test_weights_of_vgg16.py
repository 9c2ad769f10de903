"""The published weights of VGG-16 on photographs, compared with independent computations."""

import h5py
import jax
import numpy as np
import pytest
from PIL import Image

from ppool_jax.models import backbone
from ppool_jax.weights import load
from ppool_jax.weights.preprocess import CAFFE
from tests.helpers.assets import ASSETS, needs
from tests.helpers.peers import check_close
from tests.helpers.weights import CHANNELS, PHOTOS, STAGES, keras_layer

REAL = ASSETS / "weights" / "vgg16_notop_keras_layout.h5"
"""The weights of the VGG team."""
pytestmark = [needs("weights/vgg16_notop_keras_layout.h5"), needs("imagenet_samples")]


@pytest.fixture(scope="module")
def photographs():
  """uint8 [4, 96, 128, 3]: center crops of four photographs."""
  crops = []
  for name in PHOTOS:
    image = Image.open(ASSETS / "imagenet_samples" / f"{name}.jpg").convert("RGB")
    left, top = (image.width - 128) // 2, (image.height - 96) // 2
    crops.append(np.asarray(image.crop((left, top, left + 128, top + 96))))
  return np.stack(crops)


@pytest.fixture(scope="module")
def features(photographs):
  """Every feature of the photographs, through `load` and the model with max pooling."""
  variables, preprocess = load("vgg16", REAL)
  return jax.jit(backbone("vgg16", pool="max").apply)(variables, preprocess(photographs))


def raw():
  """{"conv1_1": (kernel, bias), ...}, read without the package."""
  with h5py.File(REAL) as file:
    layers = {name: file[keras_layer(name)] for name in CHANNELS}
    return {
      name: [group[f"{keras_layer(name)}_{kind}_1:0"][()] for kind in "Wb"] for name, group in layers.items()
    }


def test_published_file_has_the_backbone_s_parameters():
  """The file has 13 layers."""
  variables, preprocess = load("vgg16", REAL)
  assert len(variables["params"]) == 13
  kernel, bias = variables["params"]["conv1_1"]["kernel"], variables["params"]["conv1_1"]["bias"]
  # As printed by others from the original.
  np.testing.assert_allclose((kernel[0, 0, 0, 0], bias[0]), (0.42947057, 0.73429835), rtol=1e-6)
  images = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
  expected = jax.eval_shape(backbone("vgg16").init, jax.random.key(0), images)
  jax.tree.map(lambda a, b: np.testing.assert_equal(a.shape, b.shape), variables, dict(expected))
  assert preprocess == CAFFE


def test_features_equal_those_of_torch(photographs, features):
  """PyTorch's convolutions and pools with the arrays of the file."""
  torch = pytest.importorskip("torch")
  functional = torch.nn.functional
  bgr = photographs[..., [2, 1, 0]].astype(np.float32) - np.array([103.939, 116.779, 123.68], np.float32)
  x, layers = torch.from_numpy(bgr.transpose(0, 3, 1, 2)), raw()
  for stage, names in STAGES.items():
    for name in names:
      kernel, bias = map(torch.from_numpy, layers[name])
      x = functional.relu(functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, padding=1))
    check_close(features[f"conv{stage}"], x.permute(0, 2, 3, 1).numpy(), f"conv{stage}")
    # At stride 1 windows of 2 are padded below and on the right.
    x = functional.max_pool2d(x, 2) if stage < 5 else functional.max_pool2d(
      functional.pad(x, (0, 1, 0, 1), value=-torch.inf), 2, 1)  # fmt: skip
    check_close(features[f"pool{stage}"], x.permute(0, 2, 3, 1).numpy(), f"pool{stage}")


def numpy_conv(x, kernel, bias):
  """A 3x3 convolution and ReLU of [H, W, C], as one matrix product in float64."""
  height, width, channels = x.shape
  padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
  windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1)).transpose(0, 1, 3, 4, 2)
  product = windows.reshape(-1, 9 * channels) @ kernel.astype(np.float64).reshape(9 * channels, -1)
  return np.maximum(product.reshape(height, width, -1) + bias, 0)


def numpy_pool(x, stride):
  """2x2 maxima; at stride 1 the last row and column have partial windows."""
  if stride == 1:
    x = np.pad(x, ((0, 1), (0, 1), (0, 0)), constant_values=-np.inf)
  windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2), (0, 1))
  return windows[::stride, ::stride].max((-2, -1))


def test_features_equal_those_of_numpy(photographs):
  """In float64, on 48x64 pixels."""
  crop = photographs[0, :48, :64]
  variables, preprocess = load("vgg16", REAL)
  features = jax.jit(backbone("vgg16", pool="max").apply)(variables, preprocess(crop[None]))
  x, layers = crop[..., ::-1] - np.array([103.939, 116.779, 123.68]), raw()
  for stage, names in STAGES.items():
    for name in names:
      x = numpy_conv(x, *layers[name])
    check_close(features[f"conv{stage}"][0], x, f"conv{stage}")
    x = numpy_pool(x, 2 if stage < 5 else 1)
    check_close(features[f"pool{stage}"][0], x, f"pool{stage}")


def test_p_pooling_is_close_to_max_pooling_at_first(photographs, features):
  """At its initial alpha of 20, P-pooling changes the features of pre-trained weights little."""
  variables, preprocess = load("vgg16", REAL)
  model = backbone("vgg16", pool=("ppool", {}))
  images = preprocess(photographs)
  pools = jax.jit(lambda key: {k: v for k, v in model.init(key, images[:1])["params"].items() if "pool" in k})
  merged = {"params": {**pools(jax.random.key(0)), **variables["params"]}}
  polynomial = np.asarray(jax.jit(model.apply)(merged, images)["conv5"])
  for name, found, maximum in zip(PHOTOS, polynomial, np.asarray(features["conv5"]), strict=True):
    cosine = np.vdot(found, maximum) / (np.linalg.norm(found) * np.linalg.norm(maximum))
    distance = np.linalg.norm(found - maximum) / np.linalg.norm(maximum)
    print(f"{name}: cosine {cosine:.6f}, relative L2 {distance:.4f}")
    assert cosine > 0.999, name

"""VGG-16: its parameters, the shapes of its features, and what each feature computes."""

import itertools

import chex
import jax
import numpy as np

from ppool_jax import models
from tests.helpers.layers import abstract_arrays
from tests.helpers.networks import IMAGES, abstract_output, apply, initialize, parameter_shapes, tiny

WIDTHS = ((3, 64, 64), (64, 128, 128), (128, *[256] * 3), (256, *[512] * 3), (512, *[512] * 3))
VGG16 = {f"conv{s}_{i}": p for s, w in enumerate(WIDTHS, 1) for i, p in enumerate(itertools.pairwise(w), 1)}


def test_vgg16_has_the_published_parameters():
  """conv1_1 to conv5_3 have 14,714,688 parameters; five side branches add less than 0.08% to them."""
  expected = {f"{name}/kernel": (3, 3, *pair) for name, pair in VGG16.items()}
  expected |= {f"{name}/bias": pair[1:] for name, pair in VGG16.items()}
  found = parameter_shapes(models.backbone("vgg16", pool="max"))
  assert found == expected
  assert sum(map(np.prod, found.values())) == 14_714_688
  more = parameter_shapes(models.backbone("vgg16", pool="ppool"))
  branches = {path: shape for path, shape in more.items() if path not in found}
  assert {path.rsplit("/", 1)[0] for path in branches} == {f"pool{s}/alpha" for s in range(1, 6)}
  assert branches["pool4/alpha/depthwise"] == (2, 2, 512)
  assert sum(map(np.prod, branches.values())) < 0.0008 * 14_714_688
  head = parameter_shapes(models.build("vgg16", 7, head="fc"))
  assert head["head/fc6/kernel"] == (3, 3, 512, 1024)
  assert head["head/fc7/kernel"] == (1, 1, 1024, 1024)
  assert head["head/classifier/kernel"] == (1, 1, 1024, 7)
  assert parameter_shapes(models.build("vgg16", 7))["head/classifier/kernel"] == (1, 1, 512, 7)


def test_vgg16_features_have_the_expected_shapes():
  """Every stage halves the sides but the last, so the output stride is 16."""
  backbone = models.backbone("vgg16")
  features = abstract_output(backbone, (2, 64, 48, 3))
  sizes = [(64, 48, 64), (32, 24, 128), (16, 12, 256), (8, 6, 512), (4, 3, 512)]
  expected = {f"conv{s}": (2, *size) for s, size in enumerate(sizes, 1)}
  expected |= {f"pool{s}": (2, h // 2, w // 2, c) for s, (h, w, c) in enumerate(sizes[:4], 1)}
  chex.assert_trees_all_equal_shapes_and_dtypes(
    features, abstract_arrays(expected | {"pool5": (2, 4, 3, 512)})
  )
  assert backbone.output_stride == 16


def test_features_match_a_numpy_implementation():
  """conv<s> is the ReLU of convolutions with bias; pool<s> is its 2x2 maximum, also at edges at stride 1."""
  model, x = tiny(), IMAGES[:, :8, :16]
  params = jax.tree.map(lambda p: p + 0.1, initialize(model)["params"]["backbone"])
  features = jax.tree.map(np.asarray, apply(model.backbone, {"params": params}, x))
  for name in ("conv1_1", "conv1_2"):
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = np.concatenate([padded[:, i : i + 8, j : j + 16] for i in range(3) for j in range(3)], -1)
    kernel, bias = (np.asarray(params[name][part]) for part in ("kernel", "bias"))
    x = np.maximum(patches @ kernel.reshape(-1, 4) + bias, 0)
  chex.assert_trees_all_close(features["conv1"], x, rtol=1e-4, atol=1e-5, strict=True)
  tiles = features["conv1"].reshape(4, 4, 2, 8, 2, 4)
  chex.assert_trees_all_equal(features["pool1"], tiles.max((2, 4)), strict=True)
  last = np.pad(features["conv3"], ((0, 0), (0, 1), (0, 1), (0, 0)), mode="edge")
  largest = np.max([last[:, i : i + 2, j : j + 4] for i in (0, 1) for j in (0, 1)], 0)
  chex.assert_trees_all_equal(features["pool3"], largest, strict=True)

"""Xception and the ASPP head: parameters, shapes, output strides, dilations."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppool_jax import models
from ppool_jax.models.heads.aspp import ASPP
from ppool_jax.models.network import Depthwise
from tests.helpers.networks import (
  abstract,
  abstract_output,
  check_atrous,
  check_offsets,
  count,
  flat,
  relative,
  subsample,
  varied,
)
from tests.helpers.sweeps import sweep

BLOCKS = [f"block{b}" for b in range(1, 13)]
STAGES = ["conv1", "conv2", *BLOCKS, "conv3", "conv4"]
BLOCK_POOLS = ("pool2", "pool3", "pool4", "pool5")


def test_parameter_count_matches_the_published_one():
  """22,855,952 with ImageNet's classifier, 22,910,480 with running statistics; pools only add parameters."""
  found = abstract(models.backbone("xception", num_classes=1000))
  assert count(found["params"]) == 22_855_952
  assert count(found) == 22_910_480
  backbone = flat(abstract(models.backbone("xception"))["params"])
  assert sum(map(np.prod, map(jnp.shape, backbone.values()))) == 22_855_952 - 2049 * 1000
  pooled = flat(abstract(models.backbone("xception", "ppool"))["params"])
  more = set(pooled) - set(backbone)
  assert {path.split("/")[0] for path in more} == {"pool1", *BLOCK_POOLS}


def test_published_network_has_keras_feature_shapes():
  """Sizes and channels of keras.applications.Xception at its own input size, 299."""
  features = abstract_output(models.backbone("xception"), (2, 299, 299, 3))
  sizes = [(149, 32), (147, 64), (74, 128), (37, 256), *[(19, 728)] * 9, (10, 1024), (10, 1536), (10, 2048)]
  assert {n: f.shape for n, f in features.items()} == {
    name: (2, size, size, channels) for name, (size, channels) in zip(STAGES, sizes, strict=True)
  }


@pytest.mark.parametrize("pool", [None, "max"])
@pytest.mark.parametrize("output_stride", [32, 16, 8])
def test_grids_cover_the_image(pool, output_stride):
  """Every feature has a grid, whose positions reach both borders of the image."""
  backbone = models.backbone("xception", pool, output_stride=output_stride)
  features = abstract_output(backbone, (2, 128, 160, 3))
  assert set(features) == set(backbone.grids) == {*STAGES, *(["pool1"] if pool else [])}
  assert backbone.grids["conv1"].stride == (1 if pool else 2)
  assert backbone.grids["conv4"].stride == backbone.size_divisor == output_stride
  for name, feature in features.items():
    stride, offset, _ = backbone.grids[name]
    assert offset in ((0, 1, 2) if pool else (1, 3))
    for positions, pixels in zip(feature.shape[1:3], (128, 160), strict=True):
      assert pixels - 3 - stride <= offset + stride * (positions - 1) <= pixels - 1, name


@pytest.mark.parametrize(
  "pool",
  [None, sweep("avg"), sweep("allconv")],
)
def test_receptive_fields_are_centered_on_the_grid(pool):
  backbone = models.backbone("xception", pool, width=0.02)
  check_offsets(backbone, 96, ["pool1" if pool else "conv1", "conv2", "block2"])


def test_strided_equals_the_unstrided_network_subsampled():
  """Every second position of a convolution is the convolution with the stride."""
  images = np.random.default_rng(0).standard_normal((1, 65, 48, 3)).astype(np.float32)
  networks = [models.backbone("xception", p, width=0.125) for p in ("strided", subsample)]
  variables = varied(networks[0], images)
  strided, subsampled = (
    jax.jit(lambda v, x, m=m: {n: m.apply(v, x)[n] for n in ("conv2", "block2")})(variables, images)
    for m in networks
  )
  for name, feature in strided.items():
    assert relative(subsampled[name], feature) < 1e-5, name


@pytest.mark.parametrize("pool", ["max", sweep(("ppool", {"alpha": 2.0}))])
def test_output_stride_16_is_atrous_consistent(pool):
  """The image is large enough for conv4, with dilation 4, to read more than one position."""
  check_atrous("xception", 180, (32, 16), pool, width=0.0625, multi_grid=(1, 2, 4))


def test_output_stride_8_is_atrous_consistent_up_to_block11():
  """block12's pool is not dilated, as in the authors' code."""
  images = np.random.default_rng(0).standard_normal((1, 96, 96, 3)).astype(np.float32)
  networks = [models.backbone("xception", "max", output_stride=s, width=0.0625) for s in (16, 8)]
  variables = varied(networks[0], images)
  sparse, dense = (
    jax.jit(lambda v, x, m=m: [m.apply(v, x)[n] for n in ("block11", "block12")])(variables, images)
    for m in networks
  )
  same = [relative(d[:, ::2, ::2], s) < 1e-5 for s, d in zip(sparse, dense, strict=True)]
  assert same == [True, False]


@pytest.mark.parametrize(("multi_grid", "dilations"), [((1, 1, 1), (1, 2, 2)), ((2, 4, 3), (2, 8, 6))])
def test_multi_grid_sets_the_dilations(multi_grid, dilations):
  """The dilations of block12, conv3 and conv4 at output stride 16."""
  backbone = models.backbone("xception", output_stride=16, multi_grid=multi_grid, width=0.02)
  seen = {}

  def watch(next_call, args, kwargs, context):
    if isinstance(context.module, Depthwise):
      seen[context.module.name] = context.module.dilation
    return next_call(*args, **kwargs)

  with nn.intercept_methods(watch):
    abstract(backbone)
  names = ("block12_sep1_depthwise", "conv3_depthwise", "conv4_depthwise")
  assert tuple(seen[name] for name in names) == dilations
  assert seen["block12_sep2_depthwise"] == dilations[0]
  assert {seen[f"block{b}_sep1_depthwise"] for b in range(1, 12)} == {1}


def test_invalid_options_are_refused():
  with pytest.raises(ValueError, match=r"^pool: expected slots among pool1, .*pool5 .*got 'pool6'"):
    abstract(models.backbone("xception", {"pool6": "ppool", "default": "max"}))
  with pytest.raises(ValueError, match=r"^output_stride: expected 8, 16 or 32, got 4"):
    abstract(models.backbone("xception", output_stride=4))
  with pytest.raises(ValueError, match=r"^multi_grid: expected three dilations, got \(1, 2\)"):
    abstract(models.backbone("xception", multi_grid=(1, 2)))


def test_aspp_has_the_parameters_and_rates_of_deeplabv3():
  """Five branches with 256 channels, the projection and the classifier."""
  head, feature = ASPP(num_classes=21), (2, 6, 5, 2048)
  found = abstract(head, feature)
  kernels = {
    path.split("/")[0]: leaf.shape for path, leaf in flat(found["params"]).items() if "kernel" in path
  }
  dilated = {f"aspp_rate{i}": (3, 3, 2048, 256) for i in (1, 2, 3)}
  pointwise = dict.fromkeys(("aspp1x1", "image_pool"), (1, 1, 2048, 256))
  last = {"project": (1, 1, 1280, 256), "classifier": (1, 1, 256, 21)}
  assert kernels == dilated | pointwise | last
  assert count(found["batch_stats"]) == 6 * 2 * 256
  for stride, rates in ((8, (12, 24, 36)), (16, (6, 12, 18)), (32, (3, 6, 9))):
    assert models.build("xception_deeplabv3", 21, output_stride=stride).head.rates == rates


def test_aspp_branches_read_at_their_rates():
  """A dilated branch responds to one pixel at its rate, the image pooling everywhere."""
  x = np.zeros((1, 15, 15, 3), np.float32)
  x[0, 7, 7] = 1
  head = ASPP(num_classes=2, rates=(2, 4, 6), width=1 / 64)
  variables = varied(head, x)
  features = {
    name: jnp.abs(
      head.apply(variables, x, capture_intermediates=True)[1]["intermediates"][name]["__call__"][0]
    )
    for name in ("aspp1x1", "aspp_rate1", "aspp_rate2", "aspp_rate3", "image_pool")
  }
  for i, name in enumerate(("aspp1x1", "aspp_rate1", "aspp_rate2", "aspp_rate3")):
    rows = set(np.nonzero(np.asarray(features[name]).sum((0, 2, 3)))[0])
    assert rows == {7 - 2 * i, 7, 7 + 2 * i}
  chex.assert_shape(features["image_pool"], (1, 1, 1, 4))
  shifted = np.roll(x, 3, 1)
  before, after = (head.apply(variables, image) for image in (x, shifted))
  chex.assert_shape([before, after], (1, 15, 15, 2))
  np.testing.assert_allclose(after[0, 14, 0], before[0, 14, 0], rtol=1e-5)
  assert relative(head.apply(variables, 2 * x)[0, 14, 0], before[0, 14, 0]) > 1e-3

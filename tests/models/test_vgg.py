"""Output strides and classifier of VGG-16, and VGG16-20M of DeepLab-LargeFOV."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppool_jax as pp
from ppool_jax import models
from ppool_jax.models.network import classify_image
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


def test_parameter_counts_match_the_published_ones():
  """VGG-16 with and without its classifier, VGG16-20M with the 21 classes of PASCAL VOC."""
  classifier = models.backbone("vgg16", num_classes=1000)
  assert count(abstract(classifier, (1, 224, 224, 3))) == 138_357_544
  assert count(abstract(models.backbone("vgg16"))) == 14_714_688
  assert count(abstract(models.build("vgg16_largefov", 21, pool="max"))) == 20_505_429


def test_vgg16_has_the_requested_output_stride():
  """With the classifier the output stride is 32, as published."""
  for stride in (8, 16, 32):
    backbone = models.backbone("vgg16", output_stride=stride)
    features = abstract_output(backbone, (1, 64, 64, 3))
    chex.assert_shape(features["pool5"], (1, 64 // stride, 64 // stride, 512))
    assert backbone.grids["pool5"].stride == stride
  assert models.backbone("vgg16", num_classes=10).output_stride == 32
  with pytest.raises(ValueError, match=r"^output_stride: expected one of \[1, 2, 4, 8, 16, 32\], got 12"):
    abstract(models.backbone("vgg16", output_stride=12))


@pytest.mark.parametrize("pool", ["max", ("ppool", {"alpha": 2.0}), "dpp"])
def test_atrous_consistency(pool):
  check_atrous("vgg16", 96, (32, 16, 8), pool, width=0.0625)


def test_largefov_is_not_atrous_consistent():
  """As in the original, pool5 is not dilated where the stride of pool4 is removed."""
  with pytest.raises(AssertionError):
    check_atrous("vgg16_20m", 96, (16, 8), "max", width=0.0625)


def test_strided_equals_the_unstrided_network_subsampled():
  """The convolution before a pool has its stride."""
  images = np.random.default_rng(0).standard_normal((1, 64, 64, 3)).astype(np.float32)
  strided = models.backbone("vgg16", "strided", width=0.0625)
  variables = varied(strided, images)
  expected = jax.jit(models.backbone("vgg16", subsample, width=0.0625).apply)(variables, images)["pool5"]
  features = jax.jit(strided.apply)(variables, images)
  assert relative(features["pool5"], expected) < 1e-5
  chex.assert_shape([features["conv1"], features["pool1"]], (1, 32, 32, 4))
  assert strided.grids["conv1"] == strided.grids["pool1"] == (2, 0.0, 1)
  check_offsets(models.backbone("vgg16", "strided", width=0.02), 320, ["conv1", "conv4"])


@pytest.mark.parametrize("name", ["vgg16", "vgg16_20m"])
def test_receptive_fields_are_centered_on_the_grid(name):
  """The 2x2 pools of VGG-16 tile the image, and its last shifts by half a position; 3x3 pools do not."""
  backbone = models.backbone(name, "avg", width=0.02)
  check_offsets(backbone, 320, ["pool1", "conv2", "pool4", "pool5"])
  assert backbone.grids["pool4"].offset == (7.5 if name == "vgg16" else 0)
  assert backbone.grids["pool5"].offset == (15.5 if name == "vgg16" else 0)


def test_largefov_has_the_published_dilations():
  """conv5 and fc6 have dilations 1 and 6 at 16, and 2 and 12 at 8, as in the original."""
  for stride, rates in ((16, (1, 6)), (8, (2, 12))):
    backbone = models.backbone("vgg16_20m", output_stride=stride, width=0.02)
    images = jnp.zeros((1, 321, 321, 3))
    jaxpr = jax.make_jaxpr(lambda x, m=backbone: m.init_with_output(jax.random.key(0), x)[0])(images)
    dilations = [e.params["rhs_dilation"][0] for e in _convolutions(jaxpr.jaxpr)]
    assert dilations == [1] * 10 + [rates[0]] * 3 + [rates[1], 1]
    side = 320 // stride + 1
    fc7 = backbone.init_with_output(jax.random.key(0), images)[0]["fc7"]
    chex.assert_shape(fc7, (1, side, side, 20))


def _convolutions(jaxpr):
  for equation in jaxpr.eqns:
    if equation.primitive.name == "conv_general_dilated":
      yield equation
    for inner in jax.tree.leaves(
      equation.params, is_leaf=lambda p: hasattr(p, "eqns") or hasattr(p, "jaxpr")
    ):
      if hasattr(inner, "jaxpr") or hasattr(inner, "eqns"):
        yield from _convolutions(getattr(inner, "jaxpr", inner))


def test_largefov_has_six_replaceable_pools():
  """The published pools are max pooling and, in the last slot, average pooling."""
  found = flat(abstract(models.backbone("vgg16_20m", "ppool"))["params"])
  assert {path.split("/")[0] for path in found if "alpha" in path} == {
    f"pool{s}" for s in (1, 2, 3, 4, 5, "5a")
  }
  images = np.random.default_rng(0).standard_normal((1, 32, 32, 3)).astype(np.float32)
  published = models.backbone("vgg16_20m", width=0.02)
  variables = varied(published, images)
  features = jax.jit(published.apply)(variables, images)
  expected = jnp.pad(features["pool5"], ((0, 0), (1, 1), (1, 1), (0, 0)))
  expected = sum(expected[:, i : i + 2, j : j + 2] for i in range(3) for j in range(3)) / 9
  assert relative(features["pool5a"], expected) < 1e-6
  same = jax.jit(models.backbone("vgg16_20m", {"default": "max", "pool5a": "published"}, width=0.02).apply)
  assert relative(same(variables, images)["fc7"], features["fc7"]) == 0
  other = jax.jit(models.backbone("vgg16_20m", "max", width=0.02).apply)(variables, images)
  assert relative(other["pool5a"], features["pool5a"]) > 1e-3


def test_classifier_averages_the_positions_of_larger_images():
  """At 256 there are four positions; dropout needs its key in training."""
  model = models.backbone("vgg16", num_classes=3, width=0.02)
  images = np.random.default_rng(0).standard_normal((1, 256, 256, 3)).astype(np.float32)
  variables = varied(model, images)
  apply = jax.jit(functools.partial(model.apply, train=True))
  chex.assert_shape(jax.jit(model.apply)(variables, images), (1, 3))
  with pytest.raises(AssertionError, match=r"rank 3.*x: expected \[N, h, w, C\]"):
    jax.eval_shape(lambda x: classify_image(x, 3), images[0])
  dropped = [apply(variables, images, rngs={"dropout": jax.random.key(i)}) for i in (0, 1)]
  assert relative(*dropped) > 1e-3


@pytest.mark.parametrize("pool", pp.POOLS)
def test_largefov_builds_with_every_pool(pool):
  model = models.build("vgg16_largefov", 5, pool=pool)
  logits = abstract_output(model, (1, 33, 48, 3))
  chex.assert_shape(logits, (1, 33, 48, 5))
  chex.assert_type(logits, jnp.float32)


def test_classifier_is_atrous_consistent():
  """At output stride 16 fc6 has its values of output stride 32 at more positions."""
  images = np.random.default_rng(0).standard_normal((1, 224, 224, 3)).astype(np.float32)
  seen = {}
  for stride in (32, 16):
    model = models.backbone("vgg16", num_classes=3, output_stride=stride, width=0.02)
    apply = jax.jit(functools.partial(model.apply, capture_intermediates=True, mutable=["intermediates"]))
    seen[stride] = apply(varied(model, images), images)[1]["intermediates"]["fc6"]["__call__"][0]
  chex.assert_shape([seen[32], seen[16]], [(1, 1, 1, None), (1, 2, 2, None)])
  assert relative(seen[16][:, :1, :1], seen[32]) < 1e-5


def test_scores_are_upsampled_to_their_positions():
  """LargeFOV's positions are centered on every 16th pixel. The first position of VGG-16 is between pixels
  15 and 16, and its scores are those of all pixels before.
  """
  images = np.random.default_rng(0).standard_normal((1, 64, 64, 3)).astype(np.float32)
  for name in ("vgg16_largefov", "vgg16"):
    model = models.build(name, 3, pool="max", width=0.02)
    variables = varied(model, images)
    logits = np.asarray(jax.jit(model.apply)(variables, images))
    backbone = {kind: tree["backbone"] for kind, tree in variables.items()}
    feature = jax.jit(model.backbone.apply)(backbone, images)[model.feature]
    kernel, bias = (variables["params"]["head"]["classifier"][part] for part in ("kernel", "bias"))
    scores = np.asarray(feature @ kernel[0, 0] + bias)
    if name == "vgg16":
      assert relative(logits[:, :16, :16], np.broadcast_to(scores[:, :1, :1], (1, 16, 16, 3))) < 1e-5
      assert relative(logits[:, 16, 16], scores[:, 0, 0]) > 1e-4
    else:
      assert relative(logits[:, ::16, ::16], scores) < 1e-5

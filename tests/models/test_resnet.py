"""ResNet-50: parameters, shapes, output strides, invalid options, batch norm."""

import chex
import flax.linen as nn
import jax
import numpy as np
import pytest

from ppool_jax import models
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

POOLED = ("conv1", "pool0", "pool1", "res2", "pool2", "res3", "pool3", "res4", "pool4", "res5")


def test_parameter_count_matches_the_published_one():
  """25,557,032 with ImageNet's classifier; pools only add parameters of their own."""
  found = abstract(models.backbone("resnet50", num_classes=1000), (1, 224, 224, 3))
  assert count(found["params"]) == 25_557_032
  backbone = abstract(models.backbone("resnet50"))
  assert count(backbone["params"]) == 25_557_032 - 2048 * 1000 - 1000
  assert count(backbone["batch_stats"]) == 2 * 26_560
  pooled = flat(abstract(models.backbone("resnet50", "ppool"))["params"])
  more = set(pooled) - set(flat(backbone["params"]))
  assert {path.split("/")[0] for path in more} == {"pool0", "pool2", "pool3", "pool4"}


@pytest.mark.parametrize("v1_5", [False, True])
def test_strided_equals_the_unstrided_network_subsampled(v1_5):
  """In v1 the strided 1x1 convolutions read what the pool would keep.

  In v1.5 the strides are in 3x3 convolutions, which read more, so it holds only before the first of them.
  """
  images = np.random.default_rng(0).standard_normal((1, 64, 64, 3)).astype(np.float32)
  strided = models.backbone("resnet50", v1_5=v1_5, width=0.125)
  variables = varied(strided, images)
  unstrided = models.backbone("resnet50", subsample, v1_5=v1_5, width=0.125)
  features, expected = (jax.jit(m.apply)(variables, images) for m in (strided, unstrided))
  same = [relative(features[name], expected[name]) < 1e-5 for name in ("pool1", "res2", "res3", "res5")]
  assert same == [True, True, not v1_5, not v1_5]


def test_features_have_the_expected_shapes():
  """The output stride is 32; pools have features only where they are not strided."""
  for pool, names in (
    (None, [n for n in POOLED if n not in ("pool0", "pool2", "pool3", "pool4")]),
    ("max", POOLED),
  ):
    backbone = models.backbone("resnet50", pool)
    features = abstract_output(backbone, (2, 64, 96, 3))
    assert set(features) == set(names)
    for name, feature in features.items():
      stride = backbone.grids[name].stride
      shape = (2, 64 // stride, 96 // stride, None)
      chex.assert_shape(feature, shape, custom_message=name)
    chex.assert_shape(features["res5"], (2, 2, 3, 2048))
    assert (features["conv1"].shape[1] == 64) == (pool == "max")


@pytest.mark.parametrize(
  ("pool", "options"),
  [("max", {}), (("ppool", {"alpha": 2.0}), {}), (None, {}), (None, {"v1_5": True})],
)
def test_atrous_consistency(pool, options):
  check_atrous("resnet50", 128, (32, 16, 8), pool, width=0.0625, **options)


@pytest.mark.parametrize("pool", [None, sweep("avg")])
def test_receptive_fields_are_centered_on_the_grid(pool):
  pool = pool and {"default": pool}
  backbone = models.backbone("resnet50", pool, width=0.02)
  check_offsets(backbone, 256, ["conv1", "pool1", "res2", "res3"])


def test_invalid_pools_and_output_strides_are_refused():
  for pool in ("allconv", ("allconv", {}), {"pool3": "allconv", "default": "max"}):
    with pytest.raises(ValueError, match=r"^pool: 'allconv' at pool\d: .*strided network again"):
      abstract(models.backbone("resnet50", pool))
  with pytest.raises(ValueError, match=r"^pool: expected slots among pool0, pool2, pool3, pool4.*'pool1'"):
    abstract(models.backbone("resnet50", {"pool1": "ppool", "default": "max"}))
  with pytest.raises(ValueError, match=r"^output_stride: expected 8, 16 or 32, got 4"):
    abstract(models.backbone("resnet50", output_stride=4))


def test_batch_norm_uses_batch_or_running_statistics():
  """In training, batch norm uses and updates statistics of the batch unless it is frozen."""
  images = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32)
  for norm in ("sync", "local", "frozen"):
    backbone = models.backbone("resnet50", width=0.0625, norm=norm)
    variables = varied(backbone, images)
    apply = jax.jit(lambda v, x, m=backbone: m.apply(v, x, train=True, mutable=["batch_stats"]))
    features, changed = apply(variables, images)
    chex.assert_trees_all_equal_shapes_and_dtypes(changed["batch_stats"], variables["batch_stats"])
    still = jax.jit(backbone.apply)(variables, images)
    assert (relative(features["res5"], still["res5"]) < 1e-6) == (norm == "frozen")
    moved = changed["batch_stats"]["norm1"]["mean"] != variables["batch_stats"]["norm1"]["mean"]
    assert bool(np.any(moved)) == (norm != "frozen")
  with pytest.raises(ValueError, match=r"^norm: expected one of sync, local, frozen, got 'none'$"):
    models.backbone("resnet50", norm="none")


def test_epsilon_changes_the_features():
  images = np.ones((1, 32, 32, 3), np.float32)
  results = []
  for epsilon in (1e-5, 1e-1):
    backbone = models.backbone("resnet50", width=0.0625, epsilon=epsilon)
    results.append(jax.jit(backbone.apply)(varied(backbone, images), images)["res2"])
  assert relative(*results) > 1e-3
  assert isinstance(backbone, nn.Module)

"""BN-Inception and FCN-8s: parameters, shapes, pool slots, and the upsampling and sum of scores."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppool_jax import models
from ppool_jax.models.grid import Grid
from ppool_jax.models.heads.fcn8s import FCN8s, TransposedConvolution
from ppool_jax.models.upsampling import upsample
from tests.helpers.networks import abstract, abstract_output, check_offsets, flat, relative, subsample, varied
from tests.helpers.sweeps import sweep

CHANNELS = dict(
  zip(
    ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b"),
    (256, 320, 576, 576, 576, 608, 608, 1056, 1024, 1024),
    strict=True,
  )
)


def test_parameter_count_matches_the_published_one():
  """11,285,224, and 11,295,240 with the biases of the published files, one per output channel."""
  found = flat(abstract(models.backbone("inceptionv2", num_classes=1000))["params"])
  total = sum(int(np.prod(leaf.shape)) for leaf in found.values())
  biases = sum(leaf.shape[-1] for path, leaf in found.items() if leaf.ndim == 4)
  assert (total, total + biases) == (11_285_224, 11_295_240)


def test_features_have_the_expected_shapes():
  """Sides are halved rounding up, whether odd or even."""
  backbone = models.backbone("inceptionv2")
  features = abstract_output(backbone, (1, 224, 97, 3))
  sides = {2: (112, 49), 4: (56, 25), 8: (28, 13), 16: (14, 7), 32: (7, 4)}
  assert "pool0" not in features
  for name, feature in features.items():
    channels = CHANNELS[name.removeprefix("inception_")] if name.startswith("inception") else None
    expected = (1, *sides[backbone.grids[name].stride], channels)
    chex.assert_shape(feature, expected, custom_message=name)


def test_every_pool_slot_is_replaced_on_its_own():
  """All 17, also those of stride 1 and those of strided convolutions."""
  slots = [slot.name for slot in models.backbone("inceptionv2").pool_slots]
  assert len(slots) == len(set(slots)) == 3 + 8 + 2 * 3
  for name in ("pool0", "pool_5b", "pool_3c_double_3x3"):
    found = flat(abstract(models.backbone("inceptionv2", {"default": "published", name: "ppool"}))["params"])
    assert {path.split("/")[0] for path in found if "alpha" in path} == {name}
  found = flat(abstract(models.backbone("inceptionv2", "ppool"))["params"])
  assert {path.split("/")[0] for path in found if "alpha" in path} == set(slots)


def test_strided_equals_the_unstrided_network_subsampled():
  """Strides, and every second position of unstrided layers, are the same function."""
  images = np.random.default_rng(0).standard_normal((1, 70, 65, 3)).astype(np.float32)
  strided = models.backbone("inceptionv2", "strided", width=0.25)
  variables = varied(strided, images)
  features, expected = (
    jax.jit(m.apply)(variables, images)
    for m in (strided, models.backbone("inceptionv2", subsample, width=0.25))
  )
  for name in ("pool1", "inception_3c", "inception_4e", "inception_5b"):
    assert relative(features[name], expected[name]) < 1e-5


@pytest.mark.parametrize("pool", [{"default": "avg"}, sweep("strided")])
def test_receptive_fields_are_centered_on_the_grid(pool):
  """Up to the first block with different branches; a pool without padding shifts by half its window."""
  backbone = models.backbone("inceptionv2", pool, width=0.02)
  check_offsets(backbone, 128, ["conv1_7x7_s2", "pool1", "conv2_3x3", "pool2", "inception_3a"])
  assert backbone.grids["inception_5b"].offset == (0 if pool == "strided" else 6)


def test_invalid_options_and_features_are_refused():
  with pytest.raises(ValueError, match=r"^output_stride: expected 32, .*got 16"):
    abstract(models.backbone("inceptionv2", output_stride=16))
  with pytest.raises(
    ValueError, match=r"^head: 'fcn8s' expects features at strides 8, 16 and 32.*1, 2, 4, 8, 16$"
  ):
    models.build("vgg16", 3, head="fcn8s")
  head = FCN8s(3, (Grid(8), Grid(16), Grid(32)), upsampling="cubic")
  with pytest.raises(ValueError, match=r"^upsampling: expected one of bilinear, learned, got 'cubic'"):
    head.init(jax.random.key(0), tuple(jnp.zeros((1, s, s, 2)) for s in (4, 2, 1)))
  head = FCN8s(3, (Grid(8), Grid(16), Grid(32)))
  for features, message in (
    ([(4, 4, 2), (2, 2, 2), (1, 1, 2)], r"rank 3.*features: expected \[N, h, w, C\]"),
    ([(2, 4, 4, 2), (2, 2, 2, 2), (1, 1, 1, 2)], "features: expected one number of examples"),
  ):
    with pytest.raises(AssertionError, match=message):
      head.init(jax.random.key(0), tuple(map(jnp.zeros, features)))


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("offset", [0.0, 0.5, 1.0, -0.25, 3.0])
def test_transposed_convolution_starts_as_bilinear_interpolation(factor, offset):
  """They are equal inside; beyond the border the convolution pads with zeros and interpolation clamps."""
  scores = np.random.default_rng(0).standard_normal((2, 5, 6, 3)).astype(np.float32)
  size = (5 * factor, 6 * factor)
  up, _ = TransposedConvolution(factor, offset, size).init_with_output(jax.random.key(0), jnp.asarray(scores))
  expected = upsample(jnp.asarray(scores), factor, offset, size)
  chex.assert_trees_all_equal_shapes_and_dtypes(up, expected)
  inside = []
  for inputs, pixels in zip(scores.shape[1:3], size, strict=True):
    at = (np.arange(pixels) - offset) / factor
    inside.append((at >= 0) & (at <= inputs - 1))
  assert relative(up[:, inside[0]][:, :, inside[1]], expected[:, inside[0]][:, :, inside[1]]) < 1e-6


def test_fcn8s_sums_scores_at_their_positions():
  """A ramp over the image, sampled on the grid of each stride, is upsampled to the same ramp."""
  grids = (Grid(8, 2.0), Grid(16, 6.0), Grid(32, 6.0))
  features = tuple(
    jnp.broadcast_to(
      grid.offset + grid.stride * jnp.arange(64 // grid.stride), (1, 64 // grid.stride, 64 // grid.stride)
    )[..., None]
    for grid in grids
  )
  for upsampling in ("bilinear", "learned"):
    head = FCN8s(1, grids, upsampling)
    params = dict(head.init(jax.random.key(0), features)["params"])
    assert all(not np.any(params[f"score{s}"]["kernel"]) for s in (8, 16))
    params["score32"] = {"kernel": jnp.ones((1, 1, 1, 1)), "bias": jnp.zeros(1)}
    ramp = head.apply({"params": params}, features)[0, 3, :, 0]
    np.testing.assert_allclose(ramp[1:4], features[0][0, 0, 1:4, 0], rtol=1e-5)
  gradient = jax.grad(lambda p: jnp.sum(head.apply({"params": p}, features) ** 2))(params)
  assert all(np.any(leaf) for leaf in jax.tree.leaves(gradient))

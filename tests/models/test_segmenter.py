"""Segmenters: unknown names, image sizes, alignment of the logits, bilinear upsampling, precision."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppool_jax import models
from ppool_jax.models.heads import LinearHead
from tests.helpers.networks import IMAGES, KEY, abstract_output, apply, initialize, mini, tiny


@pytest.mark.parametrize(
  ("args", "options", "message"),
  [
    (("vgg_16", 3), {}, r"^network: .*vgg16, .*vgg_mini.*'vgg_16'.*did you mean 'vgg"),
    (("vgg_min", 3), {}, r"^network: .*'vgg_min' \(did you mean 'vgg_mini'\?\)$"),
    (("vgg16", 3), {"head": "linaer"}, r"^head: .*'linaer' \(did you mean 'linear'\?\)$"),
    (("vgg16", 3), {"head": "zzz"}, r"^head: expected one of linear, fc.*, got 'zzz'$"),
    (("vgg16", 0), {}, r"^num_classes: expected at least 1, got 0$"),
  ],
)
def test_unknown_network_or_head_is_refused_with_a_hint(args, options, message):
  with pytest.raises(ValueError, match=message):
    models.build(*args, **options)


@pytest.mark.parametrize("size", [(45, 60), (17, 33), (1, 16), (64, 48)])
def test_logits_have_the_size_of_the_image(size):
  for name in ("vgg16", "vgg_mini", "resnet50"):
    model = models.build(name, 7, pool="ppool", head="fc", dtype=jnp.bfloat16)
    logits = abstract_output(model, (2, *size, 3))
    chex.assert_shape(logits, (2, *size, 7))
    chex.assert_type(logits, jnp.float32)


def test_logits_of_odd_sizes_stay_aligned():
  """Logits are those of the image padded with zeros below and on the right, cropped."""
  model = tiny("ppool")
  variables = initialize(model)
  whole = apply(model, variables, np.pad(IMAGES, ((0, 0), (0, 3), (0, 3), (0, 0))))
  chex.assert_shape(whole, (4, 12, 20, 3))
  chex.assert_trees_all_close(apply(model, variables), whole[:, :9, :17], rtol=1e-5, atol=1e-7, strict=True)
  assert np.ptp(whole) > 1e-3


class HalfResolutionHead(LinearHead):
  """Returns a score for every second position."""

  def __call__(self, x, train=False, example_index=None):
    return super().__call__(x[:, ::2, ::2])


def test_wrong_shapes_are_refused_while_tracing():
  """The message names the argument and its shape."""
  for image, message in ((IMAGES[0], r"\(9, 17, 3\).*images: expected \[N, H, W, 3\]"),
                         (IMAGES[..., :1], r"\(4, 9, 17, 1\).*images: expected \[N, H, W, 3\]")):  # fmt: skip
    with pytest.raises(AssertionError, match=message):
      jax.eval_shape(tiny().init, KEY, image)
  with pytest.raises(AssertionError, match=r"3, 5\).*2, 3\).*scores: expected the resolution of 'pool3'"):
    jax.eval_shape(tiny(head=HalfResolutionHead(3)).init, KEY, IMAGES)
  with pytest.raises(AssertionError, match=r"rank 3 .*scores: expected \[N, h, w, C\]"):
    models.upsample(IMAGES[0], 2)
  with pytest.raises(AssertionError, match=r"int32.*scores: expected a floating dtype"):
    models.upsample(IMAGES.astype(int), 2)


@pytest.mark.parametrize("factor", [2, 3, 16])
def test_upsampling_is_bilinear_with_half_pixel_centers(factor):
  """Pixel i reads its input at (i + 1/2) / factor - 1/2, clamped to the edge."""
  scores = np.random.default_rng(0).normal(size=(1, 3, 4, 2)).astype(np.float32)

  def along(x, axis):
    size = x.shape[axis]
    at = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0, size - 1)
    low = np.minimum(at.astype(int), size - 2)
    share = (at - low).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
    return np.take(x, low, axis) * (1 - share) + np.take(x, low + 1, axis) * share

  expected = along(along(scores, 1), 2)
  chex.assert_trees_all_close(models.upsample(jnp.array(scores), factor), expected, rtol=1e-5, atol=1e-6)


def test_bfloat16_keeps_float32_parameters_and_logits():
  """Features are bfloat16, and the logits are close to those of float32."""
  model = models.build("vgg_mini", 3, pool="ppool", dtype=jnp.bfloat16)
  high, variables = mini("ppool")
  chex.assert_type(jax.tree.leaves(jax.eval_shape(model.init, KEY, IMAGES)), jnp.float32)
  backbone = models.backbone("vgg16", dtype=jnp.bfloat16)
  features = abstract_output(backbone, (1, 32, 32, 3))
  chex.assert_type(jax.tree.leaves(features), jnp.bfloat16)
  low = apply(model, variables)
  chex.assert_type(low, jnp.float32)
  assert 0 < np.max(np.abs(low - high)) < 0.03 * np.max(np.abs(high))

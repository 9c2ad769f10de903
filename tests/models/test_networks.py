"""Every network of the paper with every pool: shapes, unsupported pools, negative inputs, training."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

import ppool_jax as pp
from ppool_jax import models
from tests.helpers.networks import (
  abstract,
  abstract_output,
  count,
  losses,
  relative,
  seen_by_polynomial_pools,
  varied,
)
from tests.helpers.sweeps import sweep

PAPER = ("vgg16", "resnet50", "vgg16_largefov", "inceptionv2_fcn8s", "xception_deeplabv3")
UNSUPPORTED = {("resnet50", "allconv")}


def test_registry_has_the_networks_of_the_paper():
  assert set(PAPER) | {"vgg_mini"} == set(models.NETWORKS)
  backbones = {"vgg16", "vgg16_20m", "resnet50", "inceptionv2", "xception", "vgg_mini"}
  assert backbones == set(models.BACKBONES)


@pytest.mark.parametrize("pool", ["published", *pp.POOLS])
@pytest.mark.parametrize("name", PAPER)
def test_every_network_builds_with_every_pool(name, pool):
  """Logits have the size of the image, which need not be a multiple of the stride."""
  model = models.build(name, 5, pool=pool)
  if (name, pool) in UNSUPPORTED:
    with pytest.raises(ValueError, match=rf"^pool: '{pool}' at pool\d: "):
      abstract(model)
    return
  logits = abstract_output(model, (1, 65, 48, 3))
  chex.assert_shape(logits, (1, 65, 48, 5))
  chex.assert_type(logits, jnp.float32)


class VariantsTest(chex.TestCase):
  """A network with jit, without, and with `pmap`."""

  @chex.variants(with_jit=True, without_jit=True, with_pmap=True)
  @parameterized.parameters("max", "ppool")
  def test_batch_equals_its_examples_and_gradients_are_finite(self, pool):
    """Gradients have the shapes and dtypes of the parameters."""
    model = models.build("vgg_mini", 3, pool=pool, width=0.125)
    images = np.random.default_rng(0).standard_normal((2, 8, 12, 3)).astype(np.float32)
    variables = varied(model, images)

    @self.variant
    def found(params, images):
      def loss(params):
        logits = model.apply({**variables, "params": params}, images)
        return (logits**2).sum(), logits

      return jax.grad(loss, has_aux=True)(params)

    gradient, logits = found(variables["params"], images)
    chex.assert_tree_all_finite((gradient, logits))
    chex.assert_trees_all_equal_shapes_and_dtypes(gradient, variables["params"])
    single = jax.jit(model.apply)
    expected = np.concatenate([single(variables, image[None]) for image in images])
    chex.assert_trees_all_close(logits, expected, rtol=1e-4, atol=1e-5, strict=True)


@pytest.mark.parametrize(
  "name",
  [
    "vgg16",
    "resnet50",
    "vgg16_largefov",
    sweep("inceptionv2_fcn8s"),
    sweep("xception_deeplabv3"),
  ],
)
def test_bfloat16_is_close_to_float32(name):
  """All features are bfloat16; parameters and logits are float32."""
  images = np.random.default_rng(0).standard_normal((1, 64, 64, 3)).astype(np.float32)
  low, high = (models.build(name, 5, pool="ppool", width=0.25, dtype=d) for d in (jnp.bfloat16, None))
  variables = varied(low, images)
  chex.assert_type(jax.tree.leaves(abstract(low)), jnp.float32)
  features = jax.eval_shape(
    low.backbone.apply, {k: v["backbone"] for k, v in variables.items() if "backbone" in v}, images
  )
  assert features
  chex.assert_type(jax.tree.leaves(features), jnp.bfloat16)
  logits, expected = (jax.jit(model.apply)(variables, images) for model in (low, high))
  chex.assert_trees_all_equal_shapes_and_dtypes(logits, expected)
  chex.assert_type(logits, jnp.float32)
  assert 0 < relative(logits, expected) < 0.1


@pytest.mark.parametrize("name", PAPER)
def test_p_pooling_of_negative_inputs_is_shifted(name):
  """Pools after a batch norm without ReLU use Eq. 2; the inputs of all others are not negative."""
  images = np.random.default_rng(0).standard_normal((1, 64, 64, 3)).astype(np.float32)
  model = models.build(name, 3, pool="ppool", width=0.25)
  seen = seen_by_polynomial_pools(model, images)
  assert len(seen) == sum(path.endswith("/alpha/bias") for path in _paths(model))
  for unit, low, shift in seen:
    assert low >= 0 or shift == "channel", (unit, low)
  assert any(low < 0 for _, low, _ in seen) == (name == "xception_deeplabv3")


def _paths(model):
  return [
    "/".join(key.key for key in path)
    for path, _ in jax.tree_util.tree_leaves_with_path(abstract(model)["params"])
  ]


@pytest.mark.parametrize(
  ("name", "pool"),
  [
    ("vgg16", "ppool"),
    ("resnet50", "ppool"),
    ("vgg16_largefov", "max"),
    sweep("vgg16", "max"),
    sweep("resnet50", "max"),
    sweep("vgg16_largefov", "ppool"),
    *(sweep(name, pool) for name in ("inceptionv2_fcn8s", "xception_deeplabv3") for pool in ("max", "ppool")),
  ],
)
def test_training_lowers_the_loss(name, pool):
  model = models.build(name, 2, pool=pool, width=0.25)
  assert 0 < count(abstract(model)["params"]) < 0.1 * count(abstract(models.build(name, 2))["params"])
  check_training(model)


@pytest.mark.parametrize(
  "pool",
  [
    "dpp",
    "gated",
    "lp",
    *(sweep(pool) for pool in pp.POOLS if pool not in ("max", "ppool", "dpp", "gated", "lp")),
  ],
)
def test_training_vgg16_with_every_pool_lowers_the_loss(pool):
  check_training(models.build("vgg16", 2, pool=pool, width=0.25))


def check_training(model):
  normalized = "batch_stats" in abstract(model)
  found = losses(model, rate=1e-3 if normalized else 3e-4)
  chex.assert_tree_all_finite(found)
  assert found[-1] < 0.85 * found[0], found


@pytest.mark.parametrize("name", PAPER)
def test_published_is_the_default_pool(name):
  pool = {"default": "published"}
  assert count(abstract(models.build(name, 3, pool=pool))["params"]) == count(
    abstract(models.build(name, 3, pool=None))["params"]
  )

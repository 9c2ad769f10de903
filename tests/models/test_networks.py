"""Every network of the paper with every pool: shapes, refusals, negative inputs, training."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

import ppool_jax as pp
from ppool_jax import models
from tests.helpers.networks import KEY, abstract, count, losses, relative, seen_by_polynomial_pools, varied

PAPER = ("vgg16", "resnet50", "vgg16_largefov", "inceptionv2_fcn8s", "xception_deeplabv3")
REFUSED = {("resnet50", "allconv")}


def test_the_papers_networks():
  assert set(PAPER) | {"vgg_mini"} == set(models.NETWORKS)
  trunks = {"vgg16", "vgg16_20m", "resnet50", "inceptionv2", "xception", "vgg_mini"}
  assert trunks == set(models.BACKBONES)


@pytest.mark.parametrize("pool", ["published", *pp.POOLS])
@pytest.mark.parametrize("name", PAPER)
def test_builds_with_every_pool(name, pool):
  """Logits of an image's own size, whatever it is."""
  model = models.build(name, 5, pool=pool)
  if (name, pool) in REFUSED:
    with pytest.raises(ValueError, match=rf"^pool: '{pool}' at pool\d: "):
      abstract(model)
    return
  image = jnp.zeros((1, 65, 48, 3))
  logits = jax.eval_shape(lambda x: model.init_with_output(KEY, x)[0], image)
  chex.assert_shape(logits, (1, 65, 48, 5))
  chex.assert_type(logits, jnp.float32)


class VariantsTest(chex.TestCase):
  """A network with jit, without, and with `pmap`."""

  @chex.variants(with_jit=True, without_jit=True, with_pmap=True)
  @parameterized.parameters("max", "ppool")
  def test_logits_and_gradients(self, pool):
    """A batch's logits are those of its examples one by one; gradients are finite and like the parameters."""
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


@pytest.mark.parametrize("name", PAPER)
def test_bfloat16(name):
  """Computed in bfloat16 throughout, from float32 parameters to float32 logits near those of float32."""
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
def test_no_p_pool_sees_negatives_unshifted(name):
  """Pools after batch norm without ReLU take Eq. 2; all others see what is not negative."""
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


@pytest.mark.parametrize("pool", ["max", "ppool"])
@pytest.mark.parametrize("name", PAPER)
def test_training_lowers_the_loss(name, pool):
  model = models.build(name, 2, pool=pool, width=0.25)
  assert 0 < count(abstract(model)["params"]) < 0.1 * count(abstract(models.build(name, 2))["params"])
  check_training(model)


@pytest.mark.parametrize("pool", sorted(set(pp.POOLS) - {"max", "ppool"}))
def test_training_lowers_the_loss_of_vgg16_with_every_pool(pool):
  check_training(models.build("vgg16", 2, pool=pool, width=0.25))


def check_training(model):
  normalised = "batch_stats" in abstract(model)
  found = losses(model, rate=1e-3 if normalised else 3e-4)
  chex.assert_tree_all_finite(found)
  assert found[-1] < 0.85 * found[0], found


@pytest.mark.parametrize("name", PAPER)
def test_published_or_shifted_by_name(name):
  """A stage may keep what the published network has; a shift of one's own is kept."""
  pool = {"default": "published"}
  assert count(abstract(models.build(name, 3, pool=pool))["params"]) == count(
    abstract(models.build(name, 3, pool=None))["params"]
  )

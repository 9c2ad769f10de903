"""The pools of a network: by slot, by name, their initial values and their gradients."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppool_jax as pp
from ppool_jax import models
from tests.helpers.networks import IMAGES, apply, flat, initialize, mini, parameter_shapes, tiny


def test_dict_of_pools_sets_the_named_slots():
  """A slot that does not exist is refused by name, and so is a dict without "default"."""
  found = parameter_shapes(models.backbone("vgg16", pool={"pool3": "ppool", "default": "max"}))
  assert {path.split("/")[0] for path in found if "alpha" in path} == {"pool3"}
  assert found["pool3/alpha/bias"] == (256,)
  for pool, words in (
    ({"pool6": "ppool", "default": "max"}, r"pool1.*pool5.*got 'pool6'"),
    ({"pool3": "ppool"}, r"'pool1'.*default"),
  ):
    with pytest.raises(ValueError, match=f"^pool: .*{words}"):
      parameter_shapes(models.backbone("vgg16", pool=pool))


@pytest.mark.parametrize("pool", pp.POOLS)
def test_every_pool_leaves_other_parameters_unchanged(pool):
  """Logits are finite; convolutions and head start with the same values as with max pooling."""
  logits, variables = mini(pool)
  chex.assert_shape(logits, (*IMAGES.shape[:3], 3))
  chex.assert_tree_all_finite((logits, variables))
  assert np.ptp(logits) > 1e-3
  first, found = (flat(v["params"]) for v in (mini("max")[1], variables))
  chex.assert_trees_all_equal({path: found[path] for path in first}, first, strict=True)
  assert all("/pool" in path for path in set(found) - set(first))


def test_gradients_reach_every_parameter():
  """At first the side branch's last kernel is zero, so its other parameters have no gradient."""
  model = models.build("vgg_mini", 3, pool=("ppool", {"alpha": "log_side_branch"}))
  variables = mini("ppool")[1]
  params = jax.tree.map_with_path(  # the parameters of the paper's branch, but with another initial alpha
    lambda path, p: p * 0 + np.log(3) if "['alpha']['bias']" in jax.tree_util.keystr(path) else p,
    variables["params"],
  )
  gradient = jax.jit(jax.grad(lambda p: jnp.sum(model.apply({**variables, "params": p}, IMAGES) ** 2)))
  moved = jax.tree.map_with_path(lambda path, p: p + 0.1 * ("pointwise" in str(path)), params)
  for at, still in ((params, ("depthwise", "prelu")), (moved, ())):
    found = gradient(at)
    chex.assert_tree_all_finite(found)
    chex.assert_trees_all_equal_shapes_and_dtypes(found, at)
    for path, g in flat(found).items():
      assert np.any(g) != path.endswith(still), path


@pytest.mark.parametrize(("alpha", "initial", "ends"), [
  ("side_branch", 20, (0, 35)), ("log_side_branch", 3, (0, 110)), ("channel", 3, (0, 110)),
  ("layer", 3, (0, 110)), (("side_branch", {"initial": 5.0}), 5, (0, 35)), (2.5, 2.5, (0, np.inf)),
])  # fmt: skip
def test_alpha_starts_at_its_initial_value(alpha, initial, ends):
  """The ends of alpha's range are sown into "alpha_range", which is not part of the variables."""
  model = tiny({"pool2": ("ppool", {"alpha": alpha}), "default": "max"})
  variables = initialize(model)
  assert set(variables) <= {"params"}
  _, sown = apply(model, variables, mutable=["intermediates", "alpha_range"])
  np.testing.assert_array_equal(sown["alpha_range"]["backbone"]["pool2"]["ends"], ends)
  np.testing.assert_allclose(sown["intermediates"]["backbone"]["pool2"]["alpha"][0], initial, rtol=1e-5)


@pytest.mark.parametrize(("alpha", "error", "words"), [
  ("side_brunch", ValueError, r"log_side_branch, channel, layer, .*got 'side_brunch'"),
  (("channel", {"capp": 1}), TypeError, r"'channel' takes initial, per, range, cap, got 'capp'"),
])  # fmt: skip
def test_unknown_alpha_source_is_refused(alpha, error, words):
  with pytest.raises(error, match=f"^alpha: .*{words}"):
    parameter_shapes(tiny(("ppool", {"alpha": alpha})))


@pytest.mark.parametrize("name", ["strided", "allconv"])
def test_a_pool_given_as_a_class_is_the_one_given_by_name(name):
  """The grid of the features depends on it: a strided slot has no pool."""
  forms = (name, f"{name}()", (name, {}), pp.POOLS[name], functools.partial(pp.POOLS[name]))
  grids = [models.backbone("vgg16", pool={"pool1": form, "default": "max"}).grids for form in forms]
  assert all(found == grids[0] for found in grids)
  assert grids[0] != models.backbone("vgg16").grids or name == "allconv"
  with pytest.raises(ValueError, match=r"pool: .*strided network"):
    parameter_shapes(models.backbone("resnet50", pool=pp.POOLS["allconv"]))

"""P-pooling layers in networks: alpha maps, paths and number of parameters, and a training step."""

import functools
import itertools
import re

import chex
import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ppool_jax as pp
from tests.helpers.layers import (
  BRANCH,
  FROM_3,
  TILES,
  Mine,
  Net,
  X,
  abstract_arrays,
  alpha_of,
  apply,
  init_params,
  make,
  random_branch,
  with_alpha,
)


@pytest.mark.parametrize("source", [pp.SideBranch, FROM_3, Mine, 2.0])
@pytest.mark.parametrize("jit", [False, True])
def test_alpha_maps_are_sown_once_per_call(source, jit):
  """intermediates/<pool>/alpha is a tuple with one map of the output's shape; nothing else is sown."""
  net, wanted = Net(with_alpha(source)), {pp.SideBranch: 20.0, 2.0: 2.0}.get(source)
  variables = jax.jit(net.init)(jax.random.key(0), X)
  assert set(variables) == {"params"}
  run = functools.partial(net.apply, mutable=["intermediates"])
  y, state = (jax.jit(run) if jit else run)({"params": variables["params"]}, X)
  for pool, size in (("pool1", 3), ("pool2", 2)):
    sown = state["intermediates"][pool]["alpha"]
    sown, own = (sown["alpha"], sown["scale"]) if source is Mine else (sown, (2.0,))
    assert isinstance(sown, tuple)
    assert (len(sown), len(own)) == (1, 1)
    chex.assert_shape(sown[0], (2, size, size, 4))
    chex.assert_type(sown[0], jnp.float32)
    assert wanted is None or np.all(sown[0] == wanted)
  chex.assert_trees_all_close(net.apply({"params": variables["params"]}, X), y, rtol=1e-5, strict=True)


def test_custom_alpha_source_gets_gradients_and_a_path():
  """A module of three lines returns alpha, gets gradients, and has its parameters under <pool>/alpha."""
  layer = make(with_alpha(Mine))
  params = init_params(layer)
  chex.assert_trees_all_equal_shapes_and_dtypes(params, abstract_arrays({"alpha": {"scale": ()}}))
  expected = pp.polynomial_pool(X, 2 * nn.sigmoid(pp.avg_pool(X, *TILES)), *TILES)
  chex.assert_trees_all_close(apply(layer, params), expected, rtol=1e-6, strict=True)
  assert jax.grad(lambda p: layer.apply({"params": p}, X).sum())(params)["alpha"]["scale"] > 0


@pytest.mark.parametrize("pool", ["ppool", with_alpha(FROM_3), "gated"])
def test_pools_from_one_factory_share_no_parameters(pool):
  """Two pools from one factory have different initial values."""
  params = init_params(Net(pool))
  first, second = (params[name] for name in ("pool1", "pool2"))
  name = ("mask",) if pool == "gated" else ("alpha", "depthwise")
  a, b = (flax.traverse_util.flatten_dict(p)[name] for p in (first, second))
  chex.assert_trees_all_equal_shapes_and_dtypes(first, second)
  assert not np.allclose(a, b)


def test_alpha_parameters_match_a_path_pattern():
  """.*/alpha/.* matches the parameters of alpha sources and no others."""
  paths = flax.traverse_util.flatten_dict(init_params(Net()), sep="/")
  found = {path for path in paths if re.fullmatch(r".*/alpha/.*", path)}
  assert found == {f"pool{i}/alpha/{name}" for i in (1, 2) for name in BRANCH}
  assert {path.split("/")[0] for path in paths if path not in found} == {"conv1", "conv2"}


VGG16 = (64, 64, "pool", 128, 128, "pool", *[256] * 3, "pool", *[512] * 3, "pool", *[512] * 3, "pool")


class Backbone(nn.Module):
  """The convolutions and pools of VGG-16."""

  @nn.compact
  def __call__(self, x):
    for width in VGG16:
      x = make("ppool")(x) if width == "pool" else nn.relu(nn.Conv(width, (3, 3))(x))
    return x


def test_side_branches_are_under_0_08_percent_of_vgg16():
  """Five side branches are 10,304 parameters: 0.070 % of VGG-16's 14,714,688, under the paper's 0.08 %."""
  image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  params = jax.eval_shape(Backbone().init, jax.random.key(0), image)["params"]
  sizes = {"alpha": 0, "backbone": 0}
  for path, leaf in flax.traverse_util.flatten_dict(params, sep="/").items():
    sizes["alpha" if re.fullmatch(r".*/alpha/.*", path) else "backbone"] += leaf.size
  widths = [3, *(width for width in VGG16 if width != "pool")]
  backbone = sum(9 * a * b + b for a, b in itertools.pairwise(widths))
  assert (sizes["backbone"], backbone) == (14_714_688, 14_714_688)
  assert sizes["alpha"] == 7 * (64 + 128 + 256 + 512 + 512) == 10_304
  assert f"{sizes['alpha'] / backbone:.3%}" == "0.070%"


def test_training_step_lowers_the_loss_and_moves_alpha():
  """One step of SGD lowers the loss and moves the alpha map of every pool."""
  net = Net(with_alpha(FROM_3))
  params, optimizer = init_params(net), optax.sgd(1e-3)

  def loss(params):
    y, state = net.apply({"params": params}, X, mutable=["intermediates"])
    return jnp.mean((y - 2) ** 2), [state["intermediates"][p]["alpha"][0] for p in ("pool1", "pool2")]

  chex.clear_trace_counter()

  @jax.jit
  @chex.assert_max_traces(n=1)
  def step(params):
    (value, maps), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    updates, _ = optimizer.update(gradient, optimizer.init(params))
    return value, maps, optax.apply_updates(params, updates)

  before, maps, params = step(params)
  after, moved, _ = step(params)
  assert after < before
  chex.assert_trees_all_equal(maps, jax.tree.map(lambda old: jnp.full_like(old, 3.0), moved), strict=True)
  for old, new in zip(maps, moved, strict=True):
    assert jnp.mean(jnp.abs(new - old) > 1e-5) > 0.9


def test_normalized_side_branch_ignores_the_scale_of_x():
  """x is divided by 1 + the largest magnitude in its example and channel."""
  normal, plain = (pp.PolynomialPool(*TILES, alpha=functools.partial(pp.SideBranch, normalize=n))
                   for n in (True, False))  # fmt: skip
  params = random_branch()
  alpha = alpha_of(normal, params, 1e4 * X)[0]
  np.testing.assert_allclose(alpha_of(normal, params, 1e7 * X)[0], alpha, rtol=1e-2)
  assert not np.allclose(alpha_of(normal, params, X)[0], alpha, rtol=1e-2)
  scaled = -X / (1 + np.max(np.abs(X), (1, 2), keepdims=True))
  np.testing.assert_allclose(alpha_of(normal, params, -X)[0], alpha_of(plain, params, scaled)[0], rtol=1e-4)

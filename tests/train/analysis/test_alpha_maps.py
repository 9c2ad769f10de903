"""Alpha maps in every network: order under dilation, position in the image, no padding."""

import functools
import math

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppool_jax import PolynomialPool, models
from ppool_jax.layers import SideBranch, Softplus
from ppool_jax.models.dilation import apply_dilated, merge_phases
from ppool_jax.models.grid import Grid
from tests.helpers.layers import Mine
from tests.helpers.networks import constant_weights, varied
from tests.helpers.training import OneDevice, tiny_config
from train.experiment.experiment import make_experiment
from train.experiment.run import create_train_state
from train.step.alpha_stats import alpha_maps, alpha_statistics, cells_inside, unit_grid
from train.step.step import make_loss

BRANCH = functools.partial(SideBranch, range_map=Softplus(), initial=1.0, input_scale=1.0)
POOL = ("ppool", {"alpha": BRANCH})
COLLECTIONS = ["intermediates", "alpha_range"]
CASES = [
  *(("vgg16", stride) for stride in (8, 16, 32)),
  *(("resnet50", stride) for stride in (8, 16, 32)),
  *(("vgg16_largefov", stride) for stride in (8, 16)),
  *(("xception_deeplabv3", stride) for stride in (8, 16, 32)),
  ("inceptionv2_fcn8s", 32),
  *(("vgg_mini", stride) for stride in (1, 4)),
]
INPUTS = {
  "vgg16": {f"pool{s}": f"conv{s}" for s in range(1, 6)},
  "vgg_mini": {f"pool{s}": f"conv{s}" for s in (1, 2)},
  "resnet50": {"pool0": "conv1", "pool2": "res2", "pool3": "res3", "pool4": "res4"},
}
"""The features that the pools of networks with dilated pools read."""


def images_of(*shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def seen(model, variables, images):
  """(features, sown collections, {unit: (input, strides, padding)}) of one call of a backbone."""
  pools, geometry = {}, {}

  def watch(next_call, args, kwargs, context):
    if isinstance(context.module, PolynomialPool) and context.method_name == "__call__":
      pools[context.module.name] = args[0]
      geometry[context.module.name] = (context.module.strides, context.module.padding)
    return next_call(*args, **kwargs)

  def apply(variables, images):
    with nn.intercept_methods(watch):
      features, sown = model.apply(variables, images, mutable=COLLECTIONS)
    return features, sown, dict(pools)

  features, sown, inputs = jax.jit(apply)(variables, images)
  return features, sown, {unit: (x, *geometry[unit]) for unit, x in inputs.items()}


def branch_by_hand(parameters, x, strides, padding, rate):
  """The paper's side branch with a dilated kernel, on the whole image."""
  kernel = parameters["depthwise"][:, :, None]
  hidden = jax.lax.conv_general_dilated(
    x, kernel, strides, [(rate * low, rate * high) for low, high in padding], rhs_dilation=(rate, rate),
    dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=x.shape[-1], precision="highest",
  )  # fmt: skip
  hidden = jnp.where(hidden >= 0, hidden, parameters["prelu"] * hidden)
  return jax.nn.softplus(hidden * parameters["pointwise"] + parameters["bias"])


@pytest.mark.parametrize(("name", "stride"), CASES)
def test_maps_equal_those_of_single_images(name, stride):
  model = models.build(name, 3, pool=POOL, width=0.1, output_stride=stride).backbone
  images = images_of(2, 2 * model.size_divisor, model.size_divisor, 3)
  variables = varied(model, images)
  features, sown, pools = seen(model, variables, images)
  maps = alpha_maps(sown, model, images.shape[1:3])
  assert maps
  assert set(maps) == set(pools)
  rates = set()
  for unit, (x, strides, padding) in pools.items():
    rate = math.isqrt(len(x) // len(images))
    rates.add(rate)
    x = features[INPUTS[name][unit]] if rate > 1 else x
    expected = branch_by_hand(variables["params"][unit]["alpha"], x, strides, padding, rate)
    chex.assert_equal_shape([maps[unit], expected])
    chex.assert_trees_all_close(maps[unit], expected, rtol=2e-4, atol=2e-4)
    assert maps[unit].std() > 1e-3
  if stride in (1, 8) and name in INPUTS:
    assert max(rates) > 1, "no pool is dilated"


def test_alpha_map_of_a_source_that_sows_other_values():
  class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
      pool = PolynomialPool((2, 2), padding=((0, 1), (0, 1)), alpha=Mine, name="pool1")
      return apply_dilated(pool, apply_dilated(pool, x, 2), 2)

  x = jnp.abs(images_of(1, 4, 6, 3))
  variables = Net().init(jax.random.key(0), x)
  apply = jax.jit(functools.partial(Net().apply, mutable=COLLECTIONS))  # sorts what is sown by name
  sown = apply({"params": variables["params"]}, x)[1]
  both = sown["intermediates"]["pool1"]["alpha"]["alpha"]
  assert [alpha.shape for alpha in both] == [(1, 4, 6, 3)] * 2
  assert list(alpha_maps(sown)) == ["pool1"]
  chex.assert_trees_all_equal(alpha_maps(sown)["pool1"], both[-1])


def test_phases_are_merged_in_the_order_of_the_image():
  image = np.arange(2 * 6 * 9 * 2).reshape(2, 6, 9, 2)
  phases = np.concatenate([one[i::3, j::3][None] for one in image for i in range(3) for j in range(3)])
  np.testing.assert_array_equal(merge_phases(jnp.asarray(phases), 3, (2, 6, 9)), image)


class MeanOfWindow(nn.Module):
  """An alpha proportional to the window's mean, and so small that the pool is an average."""

  @nn.compact
  def __call__(self, x, window_shape, strides, padding):
    return 1e-6 * nn.avg_pool(x, window_shape, strides, padding)


@pytest.mark.parametrize(
  ("name", "size", "units"),
  [
    ("inceptionv2_fcn8s", 384, ["pool0", "pool2", "pool_3a", "pool_3c_3x3", "pool_3c_double_3x3", "pool_3c"]),
    ("xception_deeplabv3", 256, ["pool1", "pool2", "pool3"]),
  ],
)
def test_windows_are_centered_on_their_grid(name, size, units):
  """Every layer averages, so for pixels with the index of their row the mean of a window is its center."""
  model = models.build(name, 3, pool=("ppool", {"alpha": MeanOfWindow}), width=0.02).backbone
  variables = constant_weights(model, jnp.ones((1, 64, 64, 3)))

  @jax.jit
  def maps(rows):
    images = jnp.broadcast_to(rows[:, None, None], (1, size, 64, 3))
    found = alpha_maps(model.apply(variables, images, mutable=["intermediates"])[1])
    return {unit: found[unit] for unit in units}

  ones, rows = maps(jnp.ones(size)), maps(jnp.arange(size, dtype=jnp.float32))
  for unit in units:
    cell, grid = ones[unit].shape[1] // 2, unit_grid(model, unit)
    center = (rows[unit] / ones[unit])[0, cell, ones[unit].shape[2] // 2, 0]
    np.testing.assert_allclose(center, grid.offset + grid.stride * cell, atol=0.1, err_msg=unit)


@pytest.mark.parametrize(
  ("grid", "cells", "side", "multiple", "expected"),
  [
    (Grid(2, 0.5), 24, 48, 16, 24),  # nothing is padded
    (Grid(8, 15.5), 6, 48, 16, 6),  # nor here, where the last centers lie beyond the border
    (Grid(2, 0.5), 24, 40, 16, 20),
    (Grid(2, 0.5), 24, 41, 16, 21),  # the last window is half in the image
    (Grid(16, 7.5), 21, 321, 16, 20),  # 327.5 is outside
    (Grid(16, 0.0), 21, 321, 16, 21),  # the last is centered on the last pixel
    (Grid(16, 15.5), 1, 9, 16, 1),  # none would be left
  ],
)
def test_cells_within_the_image(grid, cells, side, multiple, expected):
  assert cells_inside(grid, cells, side, multiple) == expected


@pytest.mark.parametrize(("name", "stride"), [("resnet50", 32), ("vgg_mini", 1)])
def test_padding_is_excluded_from_maps_and_statistics(name, stride):
  model = models.build(name, 3, pool=POOL, width=0.1, output_stride=stride)
  multiple = model.backbone.size_divisor
  size = (64 - max(1, multiple * 5 // 8), 64 - multiple // 4 - 1)
  images = images_of(2, *size, 3)
  below, right = (-side % multiple for side in size)
  padded = jnp.pad(images, ((0, 0), (0, below), (0, right), (0, 0)))
  variables = varied(model, images)
  apply = jax.jit(functools.partial(model.apply, mutable=COLLECTIONS))
  sown, by_hand = (apply(variables, x)[1] for x in (images, padded))
  maps, whole = alpha_maps(sown, model.backbone, size), alpha_maps(by_hand)
  statistics = alpha_statistics(sown, model.backbone, size)
  for unit, alpha in whole.items():
    grid = model.backbone.grids[unit]
    inner = np.asarray(alpha)
    for axis in (1, 2):
      centers = grid.offset + grid.stride * np.arange(alpha.shape[axis])
      inner = inner.compress(centers < size[axis - 1], axis)
    assert inner.size < alpha.size
    chex.assert_trees_all_close(maps[unit], inner, rtol=1e-5)
    assert set(statistics) >= {f"alpha/{unit}/{kind}" for kind in ("mean", "low", "high")}
    np.testing.assert_allclose(statistics[f"alpha/{unit}/mean"], inner.mean(), rtol=1e-5)
    assert abs(inner.mean() - alpha.mean()) > 1e-5 * abs(inner.mean()), "the padding makes no difference"
  # Padded by hand, they are the same.
  chex.assert_trees_all_close(alpha_statistics(by_hand, model.backbone, size), statistics, rtol=1e-5)


def test_statistics_of_the_ends_do_not_count_padding():
  """A source whose alpha is 0 in the padding, where the network's input is 0, and 1 elsewhere."""

  class ByContent(nn.Module):
    @nn.compact
    def __call__(self, x, window_shape, strides, padding):
      return (nn.max_pool(x, window_shape, strides, padding) > 0).astype(jnp.float32)

  pool = PolynomialPool((2, 2), (2, 2), alpha=ByContent, name="pool1")

  class Net(nn.Module):
    size_divisor, grids = 8, {"pool1": Grid().after_layer(2, 2)}

    @nn.compact
    def __call__(self, x):
      return pool.clone(parent=self)(jnp.pad(x, ((0, 0), (0, -x.shape[1] % 8), (0, -x.shape[2] % 8), (0, 0))))

  sown = Net().apply({}, jnp.ones((1, 10, 12, 1)), mutable=COLLECTIONS)[1]
  assert alpha_statistics(sown)["alpha/pool1/low"] > 0.5
  found = alpha_statistics(sown, Net(), (10, 12))
  found = {key.split("/")[-1]: float(value) for key, value in found.items()}
  assert found == {"mean": 1, "low": 0, "high": 0}


def test_training_step_logs_alphas_within_the_image():
  """Crops of 29x44 are padded to 32x44."""
  config = tiny_config("runlocal,pool=ppool", data__crop=(29, 44), batch_size=2)
  experiment = make_experiment(config)
  state, *_ = create_train_state(experiment, config)
  draw = np.random.default_rng(0)
  params = jax.tree.map(lambda x: x + 0.1 * draw.standard_normal(x.shape).astype(np.float32), state.params)
  images = draw.integers(0, 256, (2, 29, 44, 3)).astype(np.uint8)
  part = jnp.asarray(images), jnp.zeros((2, 29, 44), int), jnp.arange(2)
  loss_of = make_loss(experiment.model, experiment.preprocess, OneDevice())

  @jax.jit
  def both(params, part):
    one = jax.tree.map(lambda x: x[None], part)
    axes = (None, None, 0, None, None)
    arguments = (params, state.batch_stats, one, jax.random.key(0), 1)
    logged = jax.vmap(loss_of, axes, axis_name="batch")(*arguments)[1][1]
    variables, collections = (
      {"params": params, "batch_stats": state.batch_stats},
      [*COLLECTIONS, "batch_stats"],
    )
    inputs = experiment.preprocess(part[0])
    return logged, alpha_maps(experiment.model.apply(variables, inputs, train=True, mutable=collections)[1])

  logged, maps = both(params, part)
  for unit, rows, padded in (("pool1", 15, 16), ("pool2", 7, 8)):
    alpha = maps[unit]
    assert alpha.shape[1] == padded
    np.testing.assert_allclose(logged[f"alpha/{unit}/mean"][0], alpha[:, :rows].mean(), rtol=1e-5)
    assert abs(alpha[:, :rows].mean() / alpha.mean() - 1) > 1e-4


def test_constant_alpha_has_a_map():
  model = models.build("vgg16", 3, pool=("ppool", {"alpha": 2.0}), width=0.1, output_stride=8)
  images = images_of(1, 32, 16, 3)
  sown = jax.jit(functools.partial(model.apply, mutable=COLLECTIONS))(varied(model, images), images)[1]
  maps = alpha_maps(sown, model.backbone, (32, 16))
  assert {unit: alpha.shape[1:3] for unit, alpha in maps.items()}["pool5"] == (4, 2)
  assert all((alpha == 2).all() for alpha in maps.values())

"""Alpha sources and range maps."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from jax import lax

import ppool_jax as pp
from tests.helpers import reference as ref
from tests.helpers.layers import (
  BRANCH,
  TILES,
  C,
  Mine,
  X,
  abstract_arrays,
  alpha_of,
  apply,
  init_params,
  make,
  random_branch,
  value_alpha_gradients,
  with_alpha,
)


def test_side_branch_starts_as_max_pooling():
  """At the start alpha is 20, and y equals max pooling to 1e-4 for elements a factor of 2 apart."""
  rng = np.random.default_rng(0)
  tiles = rng.permuted(np.broadcast_to([1, 0.5, 0.25, 0], (2, 3, 3, 4, 4)), axis=-1)
  tiles = tiles * rng.uniform(0.01, 100, (2, 3, 3, 4, 1))
  x = tiles.reshape(2, 3, 3, 4, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(X.shape).astype(np.float32)
  alpha, y = alpha_of(make("ppool"), init_params(make("ppool"), x), x)
  chex.assert_trees_all_equal(alpha, np.full(y.shape, 20, np.float32), strict=True)
  chex.assert_trees_all_close(y, tiles.max(-1), rtol=1e-4)


@pytest.mark.parametrize("geometry", [TILES, ((2, 2), (1, 2), ((1, 0), (1, 1)))])
@pytest.mark.parametrize("scale", [100.0, 1.0])
def test_side_branch_is_the_papers(geometry, scale):
  """Depthwise convolution of scale * x with the pool's geometry, PReLU, depthwise 1x1 with bias, clip."""
  params = random_branch()
  layer = pp.PolynomialPool(*geometry, alpha=functools.partial(pp.SideBranch, input_scale=scale))
  kernel, slope, point, bias = (params["alpha"][name] for name in BRANCH)
  hidden = lax.conv_general_dilated(
    scale * X,
    kernel[:, :, None],
    *geometry[1:],
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=4,
  )
  alpha = jnp.clip(jnp.where(hidden > 0, hidden, slope * hidden) * point + bias, 0, 35)
  seen, y = alpha_of(layer, params)
  chex.assert_trees_all_close(seen, alpha, rtol=1e-5, atol=1e-4, strict=True)
  chex.assert_trees_all_close(y, pp.polynomial_pool(X, alpha, *geometry), rtol=1e-5, strict=True)
  assert np.ptp(alpha) > 1


def test_alpha_is_float32_under_bfloat16():
  """bfloat16 input gives bfloat16 output, with alpha computed and kept in float32."""
  params, x = random_branch(), X.astype(jnp.bfloat16)
  alpha, y = alpha_of(make("ppool"), params, x)
  chex.assert_type([alpha, y], [jnp.float32, jnp.bfloat16])
  expected = alpha_of(make("ppool"), params, x.astype(jnp.float32))[0]
  chex.assert_trees_all_close(alpha, expected, rtol=1e-5, strict=True)
  assert jnp.any(alpha != alpha.astype(jnp.bfloat16))
  learned = pp.PolynomialPool(*TILES, alpha=functools.partial(pp.Learned, initial=3.001))
  np.testing.assert_allclose(alpha_of(learned, init_params(learned, x), x)[0], 3.001, rtol=1e-6)


@pytest.mark.parametrize("detach", [False, True])
def test_gradients_of_the_side_branch(detach):
  """Every parameter gets a gradient; with `detach`, dx is that of a pool with constant alpha."""
  layer = make(with_alpha(functools.partial(pp.SideBranch, detach=detach, input_scale=5.0)))
  params = random_branch()
  loss = lambda p, x: jnp.sum(layer.apply({"params": p}, x) ** 2)  # noqa: E731
  dparams, dx = jax.jit(jax.grad(loss, argnums=(0, 1)))(params, X)
  for gradient in jax.tree.leaves(dparams):
    assert jnp.all(gradient != 0)
  alpha, _ = alpha_of(layer, params)
  held = jax.jit(jax.grad(lambda x: jnp.sum(pp.polynomial_pool(x, alpha, *TILES) ** 2)))(X)
  assert np.allclose(dx, held, rtol=1e-4, atol=1e-5) == detach


# Every source, with the parameters that it is given.
SOURCES = {
  "number": (2.0, {}),
  "layer": (pp.Learned, {"raw": np.float32(2.5)}),
  "channel": (functools.partial(pp.Learned, per="channel"), {"raw": np.float32([0.5, 1, 3, 20])}),
  "side_branch": (pp.SideBranch, random_branch()["alpha"]),
  "users": (Mine, {"scale": np.float32(3)}),
}


class VariantsTest(chex.TestCase):
  """A layer's value, alpha and gradients with jit, without, with `pmap`, on a device and from NumPy."""

  @chex.all_variants
  @parameterized.parameters(*SOURCES)
  def test_value_alpha_and_gradients(self, name):
    """y equals the formula for the alpha map; gradients equal the chain rule through the formula."""
    source, own = SOURCES[name]
    layer, params = make(with_alpha(source)), {"alpha": own} if own else {}
    x, cotangent = np.asarray(X), np.float32(np.random.default_rng(0).normal(size=(2, 3, 3, 4)))
    found = self.variant(functools.partial(value_alpha_gradients, layer))(params, x, cotangent)
    chex.assert_tree_all_finite(found)
    chex.assert_trees_all_equal_shapes_and_dtypes(found, (cotangent, cotangent, params, x))
    y, alpha, dparams, dx = found
    chex.assert_trees_all_close(y, np.float64(ref.pool(x, alpha, *TILES)), rtol=1e-5)
    expected = by_chain_rule(layer, params, x, cotangent)
    chex.assert_trees_all_close((alpha, dparams, dx), expected, rtol=1e-4, atol=1e-5)


def by_chain_rule(layer, params, x, cotangent):
  """alpha, and gradients from the reference's derivatives of the pool and the source's own derivatives."""
  if not params:
    alpha = np.full(cotangent.shape, layer.alpha, np.float32)
    return alpha, {}, np.float64(ref.pullback(x, alpha, cotangent, *TILES)[0])

  def source(params, x):
    alpha = layer.alpha(parent=None).apply({"params": params["alpha"]}, x, *TILES)
    return jnp.broadcast_to(alpha, cotangent.shape)

  alpha, back = jax.vjp(source, params, x)
  by_x, by_alpha = ref.pullback(x, alpha, cotangent, *TILES)
  dparams, through_alpha = back(jnp.float32(by_alpha))
  return alpha, dparams, np.float64(by_x) + through_alpha


# Each map, its range, and starting values outside.
MAPS = {
  "clip": (pp.Clip(), 0, 35, (-0.1, 35.1)),
  "clip from 0.005": (pp.Clip(2.0, 0.005), 0.005, 2, (0.001, 2.1)),
  "clip to 2": (pp.Clip(2.0), 0, 2, (2.1,)),
  "softplus": (pp.Softplus(), 0, np.inf, (0, -1)),
  "sigmoid": (pp.ScaledSigmoid(10.0), 0, 10, (0, 10)),
  "exponential": (pp.Exponential(), 0, 110, (0, 111)),
}


@pytest.mark.parametrize("name", MAPS)
def test_range_maps_are_bounded_and_invertible(name):
  """A map stays in its range and increases, for any number; `inverse` inverts it, or raises an error."""
  range_map, low, high, outside = MAPS[name]
  alpha = range_map(jnp.linspace(-200.0, 200.0, 1001))
  assert jnp.all((alpha >= low) & (alpha <= high * (1 + 1e-5)))
  assert jnp.all(jnp.diff(alpha) >= 0)
  assert alpha[-1] > 0.99 * min(high, 200)
  for value in (0.01, 0.5, 1.9):
    assert range_map(jnp.float32(range_map.inverse(value))) == pytest.approx(value, rel=1e-5)
  for value in (*outside, float("nan")):
    for source in (pp.SideBranch, pp.Learned):
      layer = make(with_alpha(functools.partial(source, initial=value, range_map=range_map)))
      with pytest.raises(ValueError, match=rf"^initial: .*\)?, got {value}\b"):
        layer.init(jax.random.key(0), X)


@pytest.mark.parametrize("range_map", [pp.Softplus(), pp.ScaledSigmoid(), pp.Exponential(), pp.Clip()])
@pytest.mark.parametrize("source", [pp.SideBranch, pp.Learned])
def test_sources_start_at_initial(source, range_map):
  """alpha starts at `initial`, with every range map."""
  layer = make(with_alpha(functools.partial(source, initial=3.0, range_map=range_map)))
  np.testing.assert_allclose(alpha_of(layer, init_params(layer))[0], 3.0, rtol=1e-5)


@pytest.mark.parametrize(("per", "shape"), [("layer", ()), ("channel", C)])
def test_learned_alpha_is_per_layer_or_channel(per, shape):
  """One alpha for the layer or for each channel, which affects only its channel, with its gradient."""
  layer = make(with_alpha(functools.partial(pp.Learned, per=per)))
  chex.assert_trees_all_equal_shapes_and_dtypes(
    init_params(layer), abstract_arrays({"alpha": {"raw": shape}})
  )
  value = jnp.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape)
  params = {"alpha": {"raw": value}}
  expected = pp.polynomial_pool(X, value, *TILES)
  chex.assert_trees_all_close(apply(layer, params), expected, rtol=1e-6, strict=True)
  gradient = jax.grad(lambda p: layer.apply({"params": p}, X).sum())(params)["alpha"]["raw"]
  expected = jax.grad(lambda a: pp.polynomial_pool(X, a, *TILES).sum())(jnp.broadcast_to(value, (2, 3, 3, 4)))
  summed = expected.sum((0, 1, 2)) if shape else expected.sum()
  chex.assert_trees_all_close(gradient, summed, rtol=1e-5, strict=True)
  with pytest.raises(ValueError, match=r"^per:.*'pixel'"):
    make(with_alpha(functools.partial(pp.Learned, per="pixel"))).init(jax.random.key(0), X)

"""The Flax layers: parameters and where they start, the table of names, alpha sources and their maps."""

import functools
import itertools
import re
from typing import Any

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import ppool_jax as pp

X = jax.random.uniform(jax.random.key(0), (2, 6, 6, 4), minval=0.1)
TILES = ((2, 2), (2, 2), "VALID")
C = (4,)
NHWC = ("NHWC", "HWIO", "NHWC")
FROM_3 = functools.partial(pp.SideBranch, initial=3.0)
BRANCH = {"depthwise": (2, 2, 4), "prelu": C, "pointwise": C, "bias": C}
# What a config may say, the parameters that it makes, and the same as a function of them.
LAYERS = {
  "max": ("max", {}, lambda p: pp.max_pool(X, *TILES)),
  "avg": ("avg", {}, lambda p: pp.avg_pool(X, *TILES)),
  "soft": ("soft", {}, lambda p: pp.soft_pool(X, *TILES)),
  "lp": ("lp", {}, lambda p: pp.lp_pool(X, 3.0, *TILES)),
  "lp, p": (("lp", {"p": 2.0}), {}, lambda p: pp.lp_pool(X, 2.0, *TILES)),
  "lp, layer": (("lp", {"per": "layer"}), {"raw": ()}, lambda p: pp.lp_pool(X, 3.0, *TILES)),
  "lp, channel": (
    ("lp", {"p": 5.0, "per": "channel"}),
    {"raw": C},
    lambda p: pp.lp_pool(X, 1 + nn.softplus(p["raw"]), *TILES),
  ),
  "mixed": ("mixed", {"mix": ()}, lambda p: pp.mixed_pool(X, 0.5, *TILES)),
  "mixed, channel": (
    ("mixed", {"initial": 0.25, "per": "channel"}),
    {"mix": C},
    lambda p: pp.mixed_pool(X, 0.25, *TILES),
  ),
  "gated": ("gated", {"mask": (2, 2)}, lambda p: pp.gated_pool(X, p["mask"], *TILES)),
  "gated, channel": (
    ("gated", {"per": "channel"}),
    {"mask": (2, 2, 4)},
    lambda p: pp.gated_pool(X, p["mask"], *TILES),
  ),
  "dpp": (
    "dpp",
    {"alpha": C, "lambda": C},
    lambda p: pp.detail_preserving_pool(X, p["alpha"], p["lambda"], *TILES),
  ),
  "dpp, asym": (
    ("dpp", {"variant": "asym_lite"}),
    {"alpha": C, "lambda": C},
    lambda p: pp.detail_preserving_pool(X, p["alpha"], p["lambda"], *TILES, variant="asym_lite"),
  ),
  # Zeros: average pooling.
  "dpp, raw": (("dpp", {"variant": "asym_raw"}), {"alpha": C, "lambda": C}, lambda p: pp.avg_pool(X, *TILES)),
  # Its convolution starts as the window's mean.
  "dpp, full": (
    ("dpp", {"variant": "sym_full"}),
    {"alpha": C, "lambda": C, "kernel": (3, 3, 4)},
    lambda p: pp.detail_preserving_pool(X, p["alpha"], p["lambda"], *TILES, variant="sym_lite"),
  ),
  "strided": ("strided", {}, lambda p: X[:, ::2, ::2]),
  "allconv": (
    "allconv",
    {"kernel": (3, 3, 4, 4), "bias": C},
    lambda p: pp.conv_pool(X, p["kernel"], p["bias"], (2, 2)),
  ),
  "ppool": ("ppool", {"alpha": BRANCH}, lambda p: pp.polynomial_pool(X, 20.0, *TILES)),
  "ppool, 2": (("ppool", {"alpha": 2.0}), {}, lambda p: pp.polynomial_pool(X, 2.0, *TILES)),
}


def make(pool, **kwargs):
  """The layer that a config's `pool` means, for 2x2 windows of stride 2."""
  return pp.pool_factory(pool)(window_shape=(2, 2), strides=(2, 2), padding="VALID", **kwargs)


def started(layer, x=X, seed=1):
  """The layer's parameters."""
  return jax.jit(layer.init)(jax.random.key(seed), x).get("params", {})


def apply(layer, params, x=X, **kwargs):
  """The layer's output."""
  return jax.jit(functools.partial(layer.apply, **kwargs))({"params": params}, x)


@pytest.mark.parametrize("name", LAYERS)
def test_every_name(name):
  """Each name builds, initialises with one key, has its parameters in float32 and is its function."""
  pool, shapes, function = LAYERS[name]
  params = started(make(pool))
  assert jax.tree.map(jnp.shape, params) == shapes
  assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(params))
  y = apply(make(pool), params)
  assert y.shape == (2, 3, 3, 4)
  np.testing.assert_allclose(y, function(params), rtol=1e-6)
  assert apply(make(pool), params, X.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_every_name_is_tested():
  """The table's names are the contract's, and the cases above miss none."""
  assert " ".join(pp.POOLS) == "max avg lp soft mixed gated dpp strided allconv ppool"
  assert {pool if isinstance(pool, str) else pool[0] for pool, *_ in LAYERS.values()} == set(pp.POOLS)


def test_initial_values():
  """Where parameters start: gated N(0, .1), DPP uniform in +-1/sqrt(C), All-C and branch He-normal."""
  x = jnp.ones((1, 4, 4, 1024))
  assert np.std(started(make(("gated", {"per": "channel"})), x)["mask"]) == pytest.approx(0.1, rel=0.05)
  assert np.std(started(make(("gated", {"per": "channel", "stddev": 1.0})), x)["mask"]) > 0.9
  dpp = started(make("dpp"), x)
  for z in (dpp["alpha"], dpp["lambda"]):
    assert 0.99 / 32 < np.max(z) <= 1 / 32
    assert -1 / 32 <= np.min(z) < -0.99 / 32
    assert np.std(z) == pytest.approx(1 / 32 / 3**0.5, rel=0.05)
  assert not np.allclose(dpp["alpha"], dpp["lambda"])
  conv = started(make("allconv"), x[..., :128])
  assert np.std(conv["kernel"]) == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)
  assert not conv["bias"].any()
  branch = started(make("ppool"), x)["alpha"]
  assert np.std(branch["depthwise"]) == pytest.approx((2 / 4) ** 0.5, rel=0.05)
  for name, value in {"prelu": 0.25, "pointwise": 0, "bias": 20}.items():
    np.testing.assert_array_equal(branch[name], value)


def test_dpp_alpha_stays_at_most_10():
  """As in the original: a parameter above 10 counts as 10, and still receives its gradient."""
  params = started(make("dpp"))
  clamped, above = ({**params, "alpha": jnp.full(4, z)} for z in (10.0, 20.0))
  np.testing.assert_array_equal(apply(make("dpp"), above), apply(make("dpp"), clamped))
  gradient = jax.jit(jax.grad(lambda p: make("dpp").apply({"params": p}, X).sum()))
  np.testing.assert_array_equal(gradient(above)["alpha"], gradient(clamped)["alpha"])
  assert np.all(gradient(above)["alpha"] != 0)


def test_pool_factory_forms():
  """A name, (name, kwargs), a factory, or a dict of stages: each means the same layer as built by hand."""
  expected = pp.GatedPool(*TILES, per="channel", name="pool3")
  pair, factory = ("gated", {"per": "channel"}), functools.partial(pp.GatedPool, per="channel")
  for pool in (pair, list(pair), factory):
    assert make(pool, name="pool3") == expected
    stages = {"pool3": pool, "default": "max"}
    chosen = pp.pool_factory(stages, stage="pool3")
    assert chosen(window_shape=(2, 2), strides=(2, 2), padding="VALID", name="pool3") == expected
    assert pp.pool_factory(stages, stage="pool1")((2, 2)) == pp.MaxPool((2, 2))
  assert make("max") == pp.MaxPool(*TILES)


@pytest.mark.parametrize(
  ("pool", "error", "words"),
  [
    ("median", ValueError, "max, avg, lp|ppool|'median'"),
    (("gated", {"initial": 1}), TypeError, "'gated'|per, stddev|'initial'"),
    (("max", {"p": 1}), TypeError, "'max'|no options|'p'"),
    (("gated", {"strides": (2, 2)}), TypeError, "per, stddev|'strides'"),
    ({"pool1": "max"}, ValueError, "'pool3'|default|pool1"),
    ({"default": "median"}, ValueError, "'median'"),
    (pp.MaxPool((2, 2)), TypeError, "factory|MaxPool"),
    (None, TypeError, "factory|None"),
    (3, TypeError, "(name, kwargs)|3"),
  ],
)
def test_pool_factory_errors(pool, error, words):
  """What is not a pooling is refused, with what was given and what exists."""
  with pytest.raises(error, match=r"^pool:") as raised:
    pp.pool_factory(pool, stage="pool3")
  for word in words.split("|"):
    assert word in str(raised.value)


@pytest.mark.parametrize(
  ("layer", "error", "words"),
  [
    (pp.PolynomialPool(*TILES, alpha=pp.SideBranch()), TypeError, "alpha:|factory|instance of SideBranch"),
    (pp.PolynomialPool(*TILES, alpha=-1.0), ValueError, "alpha:|[0, inf]|-1.0"),
    (pp.PolynomialPool(*TILES, alpha=float("nan")), ValueError, "alpha:|[0, inf]|nan"),
    (pp.MixedPool(*TILES, per="pixel"), ValueError, "per:|channel|'pixel'"),
    (pp.LpPool(*TILES, p=0.5), ValueError, "p:|0.5"),
    (pp.DetailPreservingPool(*TILES, variant="sym"), ValueError, "variant:|sym_lite|'sym'"),
    (pp.MaxPool((7, 7)), ValueError, "window_shape:|larger|(7, 7)"),
  ],
)
def test_layer_errors(layer, error, words):
  """A layer that cannot be is refused where it is first called."""
  first, *others = words.split("|")
  with pytest.raises(error, match=f"^{first}") as raised:
    layer.init(jax.random.key(0), X)
  for word in others:
    assert word in str(raised.value)


class Mine(nn.Module):
  """A user's alpha: three lines."""

  @nn.compact
  def __call__(self, x, window_shape, strides, padding):
    scale = self.param("scale", nn.initializers.constant(2.0), ())
    self.sow("intermediates", "scale", scale)
    return scale * nn.sigmoid(pp.avg_pool(x, window_shape, strides, padding))


class Net(nn.Module):
  """Convolution, pool, convolution, pool: both pools from the same factory."""

  pool: Any = "ppool"

  @nn.compact
  def __call__(self, x):
    for i in (1, 2):
      x = nn.softplus(nn.Conv(4, (3, 3), name=f"conv{i}")(x))
      x = pp.pool_factory(self.pool, f"pool{i}")((2, 2), strides=(2, 2), padding="SAME", name=f"pool{i}")(x)
    return x


def with_alpha(source):
  """A network's `pool` with this alpha source."""
  return ("ppool", {"alpha": source})


@pytest.mark.parametrize("source", [pp.SideBranch, FROM_3, Mine, 2.0])
@pytest.mark.parametrize("jit", [False, True])
def test_alpha_maps_are_sown(source, jit):
  """intermediates/<pool>/alpha is a tuple of one map for each call, of the output's shape; else nothing."""
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
    assert sown[0].shape == (2, size, size, 4)
    assert wanted is None or np.all(sown[0] == wanted)
  np.testing.assert_allclose(net.apply({"params": variables["params"]}, X), y, rtol=1e-5)


def test_a_users_source():
  """A user's module of three lines gives alpha, takes gradients, and lies under <pool>/alpha."""
  layer = make(with_alpha(Mine))
  params = started(layer)
  assert jax.tree.map(jnp.shape, params) == {"alpha": {"scale": ()}}
  expected = pp.polynomial_pool(X, 2 * nn.sigmoid(pp.avg_pool(X, *TILES)), *TILES)
  np.testing.assert_allclose(apply(layer, params), expected, rtol=1e-6)
  assert jax.grad(lambda p: layer.apply({"params": p}, X).sum())(params)["alpha"]["scale"] > 0


@pytest.mark.parametrize("pool", ["ppool", with_alpha(FROM_3), "gated"])
def test_pools_of_one_factory_have_their_own_parameters(pool):
  """Two pools from one factory share nothing: other values from the start, and changed apart."""
  params = started(Net(pool))
  first, second = (params[name] for name in ("pool1", "pool2"))
  name = ("mask",) if pool == "gated" else ("alpha", "depthwise")
  a, b = (flax.traverse_util.flatten_dict(p)[name] for p in (first, second))
  assert a.shape == b.shape
  assert not np.allclose(a, b)


def test_alpha_parameters_are_found_by_their_path():
  """.*/alpha/.* matches the parameters of alpha sources and no others."""
  paths = flax.traverse_util.flatten_dict(started(Net()), sep="/")
  found = {path for path in paths if re.fullmatch(r".*/alpha/.*", path)}
  assert found == {f"pool{i}/alpha/{name}" for i in (1, 2) for name in BRANCH}
  assert {path.split("/")[0] for path in paths if path not in found} == {"conv1", "conv2"}


def random_branch(seed=0):
  """Parameters of a side branch in which nothing is zero, and alpha stays inside its range."""
  keys = jax.random.split(jax.random.key(seed), 4)
  scales = {"depthwise": 1.0, "prelu": 0.3, "pointwise": 0.05, "bias": 1.0}
  params = {
    name: scales[name] * jax.random.normal(key, BRANCH[name]) for name, key in zip(BRANCH, keys, strict=True)
  }
  return {"alpha": {**params, "bias": params["bias"] + 10}}


def alpha_of(layer, params, x=X):
  """The alpha map and the output of a pool."""
  y, state = apply(layer, params, x, mutable=["intermediates"])
  return state["intermediates"]["alpha"][0], y


def test_side_branch_starts_as_max_pooling():
  """alpha is 20 everywhere, and y is max pooling to 1e-4 for elements a factor of 2 apart."""
  rng = np.random.default_rng(0)
  tiles = rng.permuted(np.broadcast_to([1, 0.5, 0.25, 0], (2, 3, 3, 4, 4)), axis=-1)
  tiles = tiles * rng.uniform(0.01, 100, (2, 3, 3, 4, 1))
  x = tiles.reshape(2, 3, 3, 4, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(X.shape).astype(np.float32)
  alpha, y = alpha_of(make("ppool"), started(make("ppool"), x), x)
  np.testing.assert_array_equal(alpha, 20)
  np.testing.assert_allclose(y, tiles.max(-1), rtol=1e-4)


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
  np.testing.assert_allclose(seen, alpha, rtol=1e-5, atol=1e-4)
  np.testing.assert_allclose(y, pp.polynomial_pool(X, alpha, *geometry), rtol=1e-5)
  assert np.ptp(alpha) > 1


def test_alpha_is_float32_under_bfloat16():
  """bfloat16 input gives bfloat16 output, with alpha computed and kept in float32."""
  params, x = random_branch(), X.astype(jnp.bfloat16)
  alpha, y = alpha_of(make("ppool"), params, x)
  assert (alpha.dtype, y.dtype) == (jnp.float32, jnp.bfloat16)
  np.testing.assert_allclose(alpha, alpha_of(make("ppool"), params, x.astype(jnp.float32))[0], rtol=1e-5)
  assert jnp.any(alpha != alpha.astype(jnp.bfloat16))
  learned = pp.PolynomialPool(*TILES, alpha=functools.partial(pp.Learned, initial=3.001))
  np.testing.assert_allclose(alpha_of(learned, started(learned, x), x)[0], 3.001, rtol=1e-6)


@pytest.mark.parametrize("detach", [False, True])
def test_gradients_of_the_side_branch(detach):
  """Every parameter receives a gradient; `detach` leaves x the gradient of a pool with alpha held."""
  layer = make(with_alpha(functools.partial(pp.SideBranch, detach=detach, input_scale=5.0)))
  params = random_branch()
  loss = lambda p, x: jnp.sum(layer.apply({"params": p}, x) ** 2)  # noqa: E731
  dparams, dx = jax.jit(jax.grad(loss, argnums=(0, 1)))(params, X)
  for gradient in jax.tree.leaves(dparams):
    assert jnp.all(gradient != 0)
  alpha, _ = alpha_of(layer, params)
  held = jax.jit(jax.grad(lambda x: jnp.sum(pp.polynomial_pool(x, alpha, *TILES) ** 2)))(X)
  assert np.allclose(dx, held, rtol=1e-4, atol=1e-5) == detach


# Each map, its range, and starting values outside.
MAPS = {
  "clip": (pp.Clip(), 0, 35, (-0.1, 35.1)),
  "clip to 2": (pp.Clip(2.0), 0, 2, (2.1,)),
  "softplus": (pp.Softplus(), 0, np.inf, (0, -1)),
  "sigmoid": (pp.ScaledSigmoid(10.0), 0, 10, (0, 10)),
  "exponential": (pp.Exponential(), 0, 110, (0, 111)),
}


@pytest.mark.parametrize("name", MAPS)
def test_range_maps(name):
  """A map stays in its range and rises, for any number; `inverse` finds where to start, or refuses."""
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
  """Whatever the range map, alpha starts at `initial`."""
  layer = make(with_alpha(functools.partial(source, initial=3.0, range_map=range_map)))
  np.testing.assert_allclose(alpha_of(layer, started(layer))[0], 3.0, rtol=1e-5)


@pytest.mark.parametrize(("per", "shape"), [("layer", ()), ("channel", C)])
def test_learned(per, shape):
  """One alpha for the layer or for each channel: applied to its channel alone, with its gradient."""
  layer = make(with_alpha(functools.partial(pp.Learned, per=per)))
  assert jax.tree.map(jnp.shape, started(layer)) == {"alpha": {"raw": shape}}
  value = jnp.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape)
  params = {"alpha": {"raw": value}}
  np.testing.assert_allclose(apply(layer, params), pp.polynomial_pool(X, value, *TILES), rtol=1e-6)
  gradient = jax.grad(lambda p: layer.apply({"params": p}, X).sum())(params)["alpha"]["raw"]
  expected = jax.grad(lambda a: pp.polynomial_pool(X, a, *TILES).sum())(jnp.broadcast_to(value, (2, 3, 3, 4)))
  np.testing.assert_allclose(gradient, expected.sum((0, 1, 2)) if shape else expected.sum(), rtol=1e-5)
  with pytest.raises(ValueError, match=r"^per:.*'pixel'"):
    make(with_alpha(functools.partial(pp.Learned, per="pixel"))).init(jax.random.key(0), X)


VGG16 = (64, 64, "pool", 128, 128, "pool", *[256] * 3, "pool", *[512] * 3, "pool", *[512] * 3, "pool")


class Trunk(nn.Module):
  """The convolutional trunk of VGG-16."""

  @nn.compact
  def __call__(self, x):
    for width in VGG16:
      x = make("ppool")(x) if width == "pool" else nn.relu(nn.Conv(width, (3, 3))(x))
    return x


def test_share_of_parameters_on_vgg16():
  """Five side branches are 10,304 parameters: 0.070 % of VGG-16's 14,714,688, under the paper's 0.08 %."""
  image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  params = jax.eval_shape(Trunk().init, jax.random.key(0), image)["params"]
  sizes = {"alpha": 0, "trunk": 0}
  for path, leaf in flax.traverse_util.flatten_dict(params, sep="/").items():
    sizes["alpha" if re.fullmatch(r".*/alpha/.*", path) else "trunk"] += leaf.size
  widths = [3, *(width for width in VGG16 if width != "pool")]
  trunk = sum(9 * a * b + b for a, b in itertools.pairwise(widths))
  assert (sizes["trunk"], trunk) == (14_714_688, 14_714_688)
  assert sizes["alpha"] == 7 * (64 + 128 + 256 + 512 + 512) == 10_304
  assert f"{sizes['alpha'] / trunk:.3%}" == "0.070%"


def test_a_training_step_moves_alpha():
  """One step of SGD lowers the loss and moves the alpha map of every pool."""
  net = Net(with_alpha(FROM_3))
  params, optimizer = started(net), optax.sgd(1e-3)

  def loss(params):
    y, state = net.apply({"params": params}, X, mutable=["intermediates"])
    return jnp.mean((y - 2) ** 2), [state["intermediates"][p]["alpha"][0] for p in ("pool1", "pool2")]

  @jax.jit
  def step(params):
    (value, maps), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    updates, _ = optimizer.update(gradient, optimizer.init(params))
    return value, maps, optax.apply_updates(params, updates)

  before, maps, params = step(params)
  after, moved, _ = step(params)
  assert after < before
  for old, new in zip(maps, moved, strict=True):
    np.testing.assert_array_equal(old, 3.0)
    assert jnp.mean(jnp.abs(new - old) > 1e-5) > 0.9

"""The registry of pools: the layers' parameters, their initial values, and the forms in a config."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppool_jax as pp
from tests.helpers.layers import (
  BRANCH,
  TILES,
  C,
  X,
  abstract_arrays,
  apply,
  init_params,
  make,
)

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


@pytest.mark.parametrize("name", LAYERS)
def test_named_layer_equals_its_function(name):
  """Each name builds a layer with float32 parameters that equals its function."""
  pool, shapes, function = LAYERS[name]
  params = init_params(make(pool))
  chex.assert_trees_all_equal_shapes_and_dtypes(params, abstract_arrays(shapes))
  y = apply(make(pool), params)
  chex.assert_shape(y, (2, 3, 3, 4))
  chex.assert_trees_all_close(y, function(params), rtol=1e-6, strict=True)
  chex.assert_type(apply(make(pool), params, X.astype(jnp.bfloat16)), jnp.bfloat16)


def test_every_name_is_tested():
  """The registry's names are the documented ones, and the cases above have all of them."""
  assert " ".join(pp.POOLS) == "max avg lp soft mixed gated dpp strided allconv ppool"
  assert {pool if isinstance(pool, str) else pool[0] for pool, *_ in LAYERS.values()} == set(pp.POOLS)


# Of the paper's side branch, at the start.
CONSTANTS = {"prelu": 0.25, "pointwise": 0, "bias": 20}


def test_initializers_have_the_documented_spread():
  """Initial values: gated N(0, .1), DPP uniform in +-1/sqrt(C), All-C and side branch He-normal."""
  x = jnp.ones((1, 4, 4, 1024))
  assert np.std(init_params(make(("gated", {"per": "channel"})), x)["mask"]) == pytest.approx(0.1, rel=0.05)
  assert np.std(init_params(make(("gated", {"per": "channel", "stddev": 1.0})), x)["mask"]) > 0.9
  dpp = init_params(make("dpp"), x)
  for z in (dpp["alpha"], dpp["lambda"]):
    assert 0.99 / 32 < np.max(z) <= 1 / 32
    assert -1 / 32 <= np.min(z) < -0.99 / 32
    assert np.std(z) == pytest.approx(1 / 32 / 3**0.5, rel=0.05)
  assert not np.allclose(dpp["alpha"], dpp["lambda"])
  conv = init_params(make("allconv"), x[..., :128])
  assert np.std(conv["kernel"]) == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)
  assert not conv["bias"].any()
  branch = init_params(make("ppool"), x)["alpha"]
  assert np.std(branch["depthwise"]) == pytest.approx((2 / 4) ** 0.5, rel=0.05)
  constants = {name: np.full(1024, value, np.float32) for name, value in CONSTANTS.items()}
  chex.assert_trees_all_equal({name: branch[name] for name in CONSTANTS}, constants, strict=True)


@pytest.mark.parametrize(("platform", "maps"), [("cpu", 0), ("tpu", 2), ("cuda", 2)])
def test_what_the_reverse_pass_keeps(monkeypatch, platform, maps):
  """Between the passes a CPU keeps x only; other platforms also keep alpha and y, and nothing else."""
  monkeypatch.setattr(
    jax.lax, "platform_dependent", lambda *operands, default, **by: by.get(platform, default)(*operands)
  )
  layer = pp.PolynomialPool(*TILES[:2])
  variables = layer.init(jax.random.key(1), X)
  _, back = jax.jit(lambda *operands: jax.vjp(layer.apply, *operands))(variables, X)
  kept = sorted(leaf.shape for leaf in jax.tree.leaves(back) if leaf.ndim == X.ndim)
  assert kept == sorted([X.shape, *maps * [(2, 3, 3, 4)]])


def test_dpp_alpha_stays_at_most_10():
  """As in the original, a parameter above 10 counts as 10 and still gets its gradient."""
  params = init_params(make("dpp"))
  clamped, above = ({**params, "alpha": jnp.full(4, z)} for z in (10.0, 20.0))
  chex.assert_trees_all_equal(*(apply(make("dpp"), params) for params in (above, clamped)), strict=True)
  gradient = jax.jit(jax.grad(lambda p: make("dpp").apply({"params": p}, X).sum()))
  chex.assert_trees_all_equal(gradient(above)["alpha"], gradient(clamped)["alpha"], strict=True)
  assert np.all(gradient(above)["alpha"] != 0)


def test_pool_factory_forms():
  """A name, (name, kwargs), a factory and a dict of stages each give the same layer as its constructor."""
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
    (("gated", {"per": "channel"}, "more"), TypeError, "(name, kwargs)|more"),
    (pp.MaxPool((2, 2)), TypeError, "factory|MaxPool"),
    (None, TypeError, "factory|None"),
    (3, TypeError, "(name, kwargs)|3"),
  ],
)
def test_pool_factory_errors(pool, error, words):
  """An unknown pool raises an error with what was given and what exists."""
  with pytest.raises(error, match=r"^pool:") as raised:
    pp.pool_factory(pool, stage="pool3")
  for word in words.split("|"):
    assert word in str(raised.value)


@pytest.mark.parametrize(
  ("layer", "error", "words"),
  [
    (pp.PolynomialPool(*TILES, alpha=pp.SideBranch()), TypeError, "alpha:|factory|instance of SideBranch"),
    (pp.PolynomialPool(*TILES, alpha="pool3"), TypeError, "alpha:|factory|got 'pool3'"),
    (pp.PolynomialPool(*TILES, alpha=-1.0), ValueError, "alpha:|[0, inf]|-1.0"),
    (pp.PolynomialPool(*TILES, alpha=float("nan")), ValueError, "alpha:|[0, inf]|nan"),
    (pp.MixedPool(*TILES, per="pixel"), ValueError, "per:|channel|'pixel'"),
    (pp.LpPool(*TILES, p=0.5), ValueError, "p:|0.5"),
    (pp.LpPool(*TILES, p=1.0, per="layer"), ValueError, "p:|above 1|1.0"),
    (pp.PolynomialPool(*TILES, alpha=None), TypeError, "alpha:|SideBranch|None"),
    (pp.DetailPreservingPool(*TILES, variant="sym"), ValueError, "variant:|sym_lite|'sym'"),
    (pp.MaxPool((7, 7)), ValueError, "window_shape:|larger|(7, 7)"),
  ],
)
def test_layer_errors(layer, error, words):
  """A layer with bad fields raises an error in its first call."""
  first, *others = words.split("|")
  with pytest.raises(error, match=f"^{first}") as raised:
    layer.init(jax.random.key(0), X)
  for word in others:
    assert word in str(raised.value)

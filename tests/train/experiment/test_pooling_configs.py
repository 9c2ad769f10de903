"""Every pool and alpha source by name, with its keywords, from a command line to the network."""

import functools
import json
import re

import chex
import flax
import jax
import jax.numpy as jnp
import pytest

from configs import recipes
from ppool_jax import ALPHAS, POOLS, models
from tests.helpers.training import ROOT
from train.checkpointing.workdir import to_json
from train.experiment.experiment import make_experiment
from train.experiment.overrides import parse_config
from train.experiment.pooling_config import build_pool_spec, resolve_pooling
from train.step.optimizer import make_optimizer, make_schedule
from train.utils.config import load_config

NETWORKS = [name for name in models.NETWORKS if name != "vgg_mini"]
QUICKSTART = f"--config={ROOT}/configs/quickstart.py"


def parameter_shapes(config):
  model = make_experiment(config).model
  return jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))["params"]


def paper(network, recipe, pooling):
  return load_config(f"{ROOT}/configs/paper.py:network={network},recipe={recipe},{pooling}")


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
  "pooling",
  ["pool=published", *(f"pool={pool}" for pool in POOLS if pool != "ppool")]
  + [
    f"pool=ppool,alpha={alpha}"
    for alpha in [*(name for name in ALPHAS if name != "constant"), "2.5", "constant(value=3)"]
  ],
)
def test_every_pool_in_every_network_and_recipe(network, pooling):
  """Every parameter is in one group, alpha's in groups of its own, and config.json builds the same."""
  if (network, pooling) == ("resnet50", "pool=allconv"):
    with pytest.raises(ValueError, match="would be the strided network again"):
      parameter_shapes(resolve_pooling(paper(network, "paper", pooling)))
    return
  for recipe in recipes.RECIPES:
    config = resolve_pooling(paper(network, recipe, pooling))
    config.model.width = 0.05
    again = json.loads(json.dumps(to_json(config)))
    if recipe == "paper":
      shapes = parameter_shapes(config)
      chex.assert_equal(str(build_pool_spec(type(config)(again))), str(build_pool_spec(config)))
    make_optimizer(config.optimizer, make_schedule(config.schedule, config.steps), shapes)
  paths = ["/".join(path) for path in flax.traverse_util.flatten_dict(shapes)]
  assert any("/alpha/" in path for path in paths) == ("ppool" in pooling and config.alpha.name != "constant")


def config(*flags, arg=""):
  return parse_config([QUICKSTART + arg, *flags])[0]


@pytest.mark.parametrize(
  ("arg", "flags", "kwargs"),
  [
    (
      ":pool=lp",
      ["--config.pool_kwargs.p=2", "--config.pool_kwargs.per=channel"],
      {"p": 2.0, "per": "channel"},
    ),
    (":pool=gated(stddev=1)", ["--config.pool_kwargs.per", "channel"], {"per": "channel", "stddev": 1.0}),
    (":pool=dpp", ["--config.pool_kwargs.variant=asym_raw"], {"variant": "asym_raw"}),
    ("", ["--config.pool=mixed(initial=0.25)"], {"initial": 0.25, "per": "layer"}),
    (":pool=ppool", ["--config.pool_kwargs.shift=channel"], {"floor": 2**-24, "shift": "channel"}),
    (":pool=ppool", ["--config.pool_kwargs.floor=1e-5"], {"floor": 1e-5}),
    (":pool=soft", [], {}),
  ],
)
def test_keywords_of_pools(arg, flags, kwargs):
  found = config(*flags, arg=arg)
  chex.assert_equal(found.pool_kwargs.to_dict(), kwargs)
  make_experiment(found)


WANTED = {"name": "side_branch", "initial": 40.0, "range": "clip", "cap": 90.0, "least": 0.0}


@pytest.mark.parametrize(
  ("arg", "flags", "fields"),
  [
    ("alpha=side_branch(initial=40,cap=90)", [], WANTED),
    ("", ["--config.alpha.initial=40", "--config.alpha.range=clip", "--config.alpha.cap=90"], WANTED),
    ("", ["--config.alpha=side_branch(initial=40,cap=90)"], WANTED),
    ("", ["--config.alpha=2.5"], {"name": "constant", "value": 2.5}),
    ("alpha=2", [], {"name": "constant", "value": 2.0}),
    ("", ["--config.alpha.input_scale=10", "--config.alpha.normalize=True", "--config.alpha.detach=True"],
     {"input_scale": 10.0, "normalize": True, "detach": True, "initial": 20.0, "cap": 35.0}),
    ("alpha=channel", ["--config.alpha.range=softplus"], {"range": "softplus", "initial": 3.0}),
    ("", ["--config.alpha=channel", "--config.alpha.initial=1"], {"name": "channel", "initial": 1.0}),
    ("alpha=layer(range=scaled_sigmoid,cap=8)", [], {"range": "scaled_sigmoid", "cap": 8.0}),
    ("alpha=authors", [], {"initial": 70.0, "cap": 110.0, "least": 1.0, "gradient_scale": 3.0}),
  ],
)  # fmt: skip
def test_keywords_of_alpha(arg, flags, fields):
  found = config(*flags, arg=f":pool=ppool,{arg}")
  alpha = to_json(found)["alpha"]
  chex.assert_equal({key: alpha[key] for key in fields}, fields)
  make_experiment(found)


@pytest.mark.parametrize(
  ("arg", "flags", "message"),
  [
    ("pool=lp", ["--config.pool_kwargs.q=2"], "'lp' takes p, per, got 'q'"),
    ("pool=max", ["--config.pool_kwargs.p=2"], "'max' takes no options, got 'p'"),
    ("pool=published", ["--config.pool_kwargs.p=2"], "'published' takes no options, got 'p'"),
    ("pool=ppool", ["--config.alpha.detatch=1"], r"least, got .detatch. \(did you mean .detach.\?\)"),
    ("pool=ppool,alpha=channel(range=softplus)", ["--config.alpha.cap=3"], "initial, per, range, got .cap."),
    ("pool=ppool", ["--config.alpha.range=cilp"], r"one of clip, softplus, .* \(did you mean 'clip'\?\)"),
    ("pool=ppool,alpha=side_brunch", [], "did you mean 'side_branch'"),
    ("pool=ppool,alpha=side_branch(initial=90)", [], r"initial: expected alpha in \[0, 35\]"),
    ("pool=ppool,alpha=side_branch(initial)", [], "expected key=value"),
    ("pool=ppool", ["--config.alpha.cap=1", "--config.alpha.least=2"], "expected 0 <= least <= cap"),
    ("pool_stages=pool1:ppool+pool1:avg", [], "expected each stage once"),
    ("pool_stages=pool9:avg", [], "expected slots among pool1, pool2"),
    ("pool=ppool,alpha=side_branch(normalize=no)", [], "normalize: expected bool, got 'no'"),
    ("pool=ppool,alpha=side_branch(initial=abc)", [], "initial: expected float, got 'abc'"),
    ("pool=ppool,alpha=True", [], "alpha: expected one of side_branch"),
    ("pool=ppool,alpha=constant", [], "'constant' expects value=VALUE"),
    ("pool=ppool,alpha=channel(range_map=clip)", [], "got 'range_map'"),
    ("pool=max,alpha=nonsense", [], "alpha: expected one of"),
    ("pool=max,pool_rest=nonsense", [], "pool: expected one of max"),
    ("pool=publishd", [], "did you mean 'published'"),
    ("pool=ppool(alpha=channel)", [], "expected alpha by the argument alpha="),
    ("pool=max", ["--config.optimizer.groups.alhpa.lr=3"], "expects a pattern.*mean 'alpha'"),
    ("pool=max", ["--config.seed=x"], "--config.seed: expected int, got 'x'"),
    ("pool=max", ["--config.data.flip=3"], "--config.data.flip: expected bool, got 3"),
  ],
)  # fmt: skip
def test_unknown_names_are_refused(arg, flags, message):
  with pytest.raises((ValueError, TypeError), match=message):
    parameter_shapes(config(*flags, arg=f":{arg}"))


def test_each_stage_may_have_its_own_pool():
  found = config(arg=":pool_stages=pool1:ppool+pool2:gated(per=channel),pool_rest=published,alpha=authors")
  pools = build_pool_spec(found)
  assert (pools["default"], pools["pool2"]) == ("published", ("gated", {"per": "channel"}))
  assert pools["pool1"][1]["alpha"][0] == "authors"
  found = config("--config.pool_stages=pool2", "--config.pool_rest=avg", arg=":pool=lp(p=2)")
  chex.assert_equal(
    build_pool_spec(found), {"default": ("avg", {}), "pool2": ("lp", {"p": 2.0, "per": None})}
  )


@pytest.mark.parametrize("network", NETWORKS)
def test_other_stages_keep_the_published_pools(network):
  """One stage with P-pooling; the others build what the published network has."""
  slots = models.build(network, 2).backbone.pool_slots
  names = [slot.name for slot in slots]
  found = paper(network, "paper", f"pool=ppool,pool_stages={names[-1]},pool_rest=published")
  found.model.width = 0.05

  @functools.cache
  def paths(pool):
    model = models.build(network, 2, pool=pool, width=0.05)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))["params"]
    return {"/".join(path) for path in flax.traverse_util.flatten_dict(shapes)}

  shapes = parameter_shapes(found)
  more = {"/".join(path) for path in flax.traverse_util.flatten_dict(shapes)} - paths("published")
  assert more
  assert all(path.startswith(f"backbone/{names[-1]}/alpha/") for path in more)


def test_new_group_takes_parameters_from_the_others():
  found = config(
    "--config.optimizer.groups.first.pattern=backbone/conv1_.*", "--config.optimizer.groups.first.lr=0"
  )
  group = found.optimizer.groups.first
  assert (group.lr, group.decay, group.optimizer, group.precedence) == (0.0, 1.0, "sgd", 1)
  params = jax.tree.map(lambda shape: jnp.ones(shape.shape), parameter_shapes(found))
  tx = make_optimizer(found.optimizer, make_schedule(found.schedule, found.steps), params)
  updates, _ = tx.update(jax.tree.map(jnp.ones_like, params), tx.init(params), params)
  chex.assert_trees_all_equal(updates["backbone"]["conv1_1"]["kernel"], jnp.zeros((3, 3, 3, 16)))
  assert jnp.abs(updates["backbone"]["conv2_1"]["kernel"]).min() > 0


@pytest.mark.parametrize(
  ("pattern", "message"),
  [("backbone/stage1_.*", "groups.first.pattern: no parameter matches"), ("(", "is no regular expression")],
)
def test_group_without_parameters_is_refused(pattern, message):
  found = config(f"--config.optimizer.groups.first.pattern={pattern}")
  params = {"backbone": {"conv1_1": {"kernel": jnp.ones(1)}}}
  with pytest.raises(ValueError, match=re.escape(message)):
    make_optimizer(found.optimizer, make_schedule(found.schedule, found.steps), params)

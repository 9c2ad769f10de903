"""Optimizers, schedules, parameter groups and the pixel loss, compared with plain loops."""

import functools

import chex
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import pytest

from configs import quickstart
from configs.common import default_config, parameter_groups
from ppool_jax import models
from train.step.optimizer import group_labels, make_optimizer, make_schedule
from train.step.step import pixel_losses

ONE = {"all": {"pattern": ".*", "lr": 1.0, "decay": 0.0, "optimizer": "sgd"}}


def schedule(**fields):
  """The schedule of configs.common with other fields; where poly ends is the config's `steps`."""
  config = default_config()
  config.steps = fields.pop("steps", 100)
  config.schedule.update({"learning_rate": 0.1, **fields})
  return make_schedule(config.schedule, config.steps)


def run(params, gradients, groups=ONE, momentum=0.0, weight_decay=0.0, clip_norm=0.0, **fields):
  """Parameters after one update for each of the gradients."""
  config = ml_collections.ConfigDict(
    {"momentum": momentum, "weight_decay": weight_decay, "clip_norm": clip_norm, "groups": groups}
  )
  params = jax.tree.map(jnp.float32, params)
  tx = make_optimizer(config, schedule(**{"kind": "constant", **fields}), params)
  state, update = tx.init(params), jax.jit(tx.update)
  for gradient in gradients:
    updates, after = update(jax.tree.map(jnp.float32, gradient), state, params)
    chex.assert_trees_all_equal_shapes_and_dtypes((updates, after), (params, state))
    params, state = optax.apply_updates(params, updates), after
  return params


@pytest.mark.parametrize(("optimizer", "total"), [("caffe_sgd", -2.955), ("sgd", -1.597)])
def test_momentum_with_a_learning_rate_step(optimizer, total):
  """Ten steps of gradient 1 with rate 0.1, and 0.01 from the sixth: Caffe's buffer keeps the old rate."""
  place, velocity = 0.0, 0.0
  for step in range(10):
    rate = 0.1 if step < 5 else 0.01
    velocity = 0.9 * velocity + (rate if optimizer == "caffe_sgd" else 1.0)
    place -= velocity if optimizer == "caffe_sgd" else rate * velocity
  groups = {"all": {**ONE["all"], "optimizer": optimizer}}
  moved = run({"w": 0.0}, [{"w": 1.0}] * 10, groups, 0.9, kind="step", boundaries=(5,), factor=0.1)
  assert moved["w"] == pytest.approx(place, rel=1e-5)
  assert moved["w"] == pytest.approx(total, abs=5e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "caffe_sgd"])
def test_multipliers_of_rate_and_decay(optimizer):
  """parameter_groups: biases twice the rate and no decay, branch three times, the head ten times."""
  params = {
    "backbone": {
      "conv1_1": {"kernel": 2.0, "bias": 3.0},
      "pool1": {"alpha": {"depthwise": 4.0, "bias": 5.0}},
      "pool2": {"mask": 6.0},
    },
    "head": {"classifier": {"kernel": 7.0, "bias": 8.0}},
  }
  multipliers = {2.0: (1, 1), 3.0: (2, 0), 4.0: (3, 0), 5.0: (3, 0), 6.0: (1, 0), 7.0: (10, 1), 8.0: (20, 0)}
  groups = {k: {**v, "optimizer": optimizer} for k, v in parameter_groups(None).to_dict().items()}
  gradients = (1.0, -0.5)
  everywhere = [jax.tree.map(lambda _, g=g: g, params) for g in gradients]
  moved = run(params, everywhere, groups, momentum=0.9, weight_decay=0.2)

  def by_hand(w):
    (lr, decay), velocity = multipliers[w], 0.0
    for g in gradients:
      velocity = 0.9 * velocity + g + 0.2 * decay * w
      w -= 0.1 * lr * velocity
    return w

  chex.assert_trees_all_close(moved, jax.tree.map(by_hand, params), rtol=1e-5)


def test_adam_equals_adamw_by_hand():
  """Adam with bias correction; decay beside the gradient's normalization, times the rate (AdamW)."""
  groups = {
    "a": {"pattern": "a", "lr": 2.0, "decay": 0.5, "optimizer": "adam"},
    "b": {"pattern": "b", "lr": 1.0, "decay": 0.0, "optimizer": "sgd"},
  }
  gradients, w, m, v = (3.0, -1.0, 0.5), 1.0, 0.0, 0.0
  for t, g in enumerate(gradients, 1):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    step = (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)) ** 0.5 + 1e-8)
    w -= 0.1 * 2 * (step + 0.3 * 0.5 * w)
  moved = run({"a": 1.0, "b": 1.0}, [{"a": g, "b": g} for g in gradients], groups, weight_decay=0.3)
  assert moved["a"] == pytest.approx(w, rel=1e-4)
  assert moved["b"] == pytest.approx(1 - 0.1 * sum(gradients), rel=1e-5)


def test_clipping_is_by_group():
  """A group's gradient is clipped by the norm over its own parameters, before weight decay."""
  groups = {
    "big": {"pattern": "big/.*", "lr": 1.0, "decay": 1.0, "optimizer": "sgd"},
    "small": {"pattern": "small", "lr": 1.0, "decay": 0.0, "optimizer": "sgd"},
  }
  params, gradient = (
    {"big": {"x": 1.0, "y": 1.0}, "small": 1.0},
    {"big": {"x": 30.0, "y": 40.0}, "small": 4.0},
  )
  moved = run(params, [gradient], groups, clip_norm=5.0, weight_decay=0.5)
  expected = {"big": {"x": 1 - 0.1 * (3 + 0.5), "y": 1 - 0.1 * (4 + 0.5)}, "small": 1 - 0.1 * 4}
  chex.assert_trees_all_close(moved, expected, rtol=1e-5)
  assert run(params, [gradient], groups)["big"]["y"] == pytest.approx(-3)


@pytest.mark.parametrize(
  ("fields", "rates"),
  [
    ({"kind": "constant"}, {0: 0.1, 7: 0.1, 500: 0.1}),
    ({"kind": "poly", "power": 0.5}, {0: 0.1, 75: 0.05, 99: 0.01}),
    ({"kind": "poly"}, {50: 0.1 * 0.5**0.9, 100: 0, 101: 0}),
    ({"kind": "poly", "power": 1.0, "steps": 50}, {25: 0.05}),
    (
      {"kind": "step", "boundaries": (5, 8), "factor": 0.1},
      {0: 0.1, 4: 0.1, 5: 0.01, 7: 0.01, 8: 1e-3, 50: 1e-3},
    ),
    ({"kind": "constant", "warmup": 4}, {0: 0.025, 1: 0.05, 3: 0.1, 4: 0.1, 50: 0.1}),
    ({"kind": "poly", "power": 1.0, "warmup": 10}, {0: 0.01, 4: 0.05 * 0.96, 9: 0.091, 50: 0.05, 100: 0}),
    ({"kind": "step", "boundaries": (2,), "factor": 0.1, "warmup": 4}, {1: 0.05, 2: 0.0075, 9: 0.01}),
  ],
)
def test_schedules(fields, rates):
  rate = jax.jit(schedule(**fields))
  assert {step: float(rate(jnp.int32(step))) for step in rates} == pytest.approx(rates, rel=1e-5, abs=1e-7)


def test_bad_groups_and_schedules_are_refused():
  with pytest.raises(ValueError, match=r"^schedule\.kind: .* poly, step, constant, got 'cosine'"):
    schedule(kind="cosine")
  wrong = {"all": {**ONE["all"], "optimizer": "adamw"}}
  with pytest.raises(ValueError, match=r"^optimizer\.groups\.all\.optimizer: .* adam, got 'adamw'"):
    run({"w": 0.0}, [], wrong)
  for group in ({**ONE["all"], "rate": 1}, {k: v for k, v in ONE["all"].items() if k != "decay"}):
    with pytest.raises(ValueError, match=r"^optimizer\.groups\.all: expected the keys .*'decay', 'lr'.* got"):
      run({"w": 0.0}, [], {"all": group})
  params = {"conv": {"kernel": 0.0, "bias": 0.0}}
  with pytest.raises(ValueError, match=r"'conv/bias' in exactly one group, got \[\]"):
    group_labels(params, {"kernel": ".*/kernel"})
  with pytest.raises(ValueError, match=r"'conv/kernel' in exactly one group, got \['kernel', 'rest'\]"):
    group_labels(params, {"kernel": ".*/kernel", "rest": "conv/.*"})
  with pytest.raises(ValueError, match="'conv/bias'"):  # a pattern is of the whole path
    group_labels(params, {"kernel": ".*/kernel", "start": "conv"})


GROUPS = {
  "paper": parameter_groups(None),
  "log": parameter_groups("log_side_branch"),
  "quickstart": quickstart.get_config().optimizer.groups,
}
POOLS = ("max", "ppool", "gated", "mixed", "dpp", ("dpp", {"variant": "sym_full"}), ("lp", {"per": "layer"}),
         "allconv", ("ppool", {"alpha": "channel"}))  # fmt: skip


@functools.cache
def shapes(name, head, i):
  model = models.build(name, 5, pool=POOLS[i], head=head)
  return jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))["params"]


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("i", range(len(POOLS)), ids=map(str, POOLS))
def test_shipped_groups_cover_every_parameter_once(groups, i):
  patterns = {name: group["pattern"] for name, group in GROUPS[groups].items()}
  for name, head in (("vgg16", "linear"), ("vgg_mini", "fc")):
    labels = group_labels(shapes(name, head, i), patterns)
    bias = "rest" if groups == "quickstart" else "bias"
    assert {"bias": bias, **labels["backbone"]["conv1_2"]} == {"kernel": "kernel", "bias": bias}
    pool = set(jax.tree.leaves(labels["backbone"].get("pool1", {})))
    assert pool == {"alpha"} if "ppool" in POOLS[i] else "alpha" not in pool


LOGITS = np.random.default_rng(0).normal(0, 3, (2, 2, 3, 4)).astype(np.float32)
LABELS = np.array([[[0, 255, 3], [1, 2, 255]], [[255, 255, 3], [0, 0, 1]]], np.uint8)


class PixelLossesTest(chex.TestCase):
  """Cross entropy with jit, without, with `pmap`, and for a batch on a device and in NumPy."""

  @chex.all_variants
  def test_values_and_gradients(self):
    """Ignored pixels have exactly zero loss and gradient, even if all pixels are ignored."""
    valid = LABELS != 255
    share = np.exp(LOGITS.astype(float)) / np.exp(LOGITS.astype(float)).sum(-1, keepdims=True)
    truth = np.eye(4)[np.where(valid, LABELS, 0)]
    total = self.variant(jax.value_and_grad(lambda z, y: pixel_losses(z, y).sum()))
    losses = self.variant(pixel_losses)(LOGITS, LABELS)
    chex.assert_type(losses, np.float32)
    expected = np.where(valid, -np.log((share * truth).sum(-1)), 0)
    chex.assert_trees_all_close(losses, expected, rtol=1e-5)
    gradient = total(LOGITS, LABELS)[1]
    chex.assert_trees_all_close(gradient, (share - truth) * valid[..., None], rtol=1e-4, atol=1e-6)
    assert not np.any(gradient[~valid])
    nothing = total(LOGITS, np.full_like(LABELS, 255))
    chex.assert_trees_all_equal(nothing, (np.float32(0), np.zeros_like(LOGITS)), strict=True)


def test_pixel_losses_of_other_shapes_are_refused():
  """Labels of another size would be broadcast to a loss of other pixels."""
  for logits, labels, message in (
    (LOGITS, LABELS[:1], r"\(1, 2, 3\).*labels: expected \[N, H, W\] of the logits"),
    (LOGITS[0], LABELS[0], r"rank 3.*logits: expected \[N, H, W, K\]"),
  ):
    with pytest.raises(AssertionError, match=message):
      jax.eval_shape(pixel_losses, logits, labels)

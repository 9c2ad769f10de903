"""The update guard, and the location of the first non-finite value of a rejected step."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ppool_jax import models
from ppool_jax.layers import PolynomialPool
from ppool_jax.weights.preprocess import TORCHVISION
from tests.helpers.training import tiny_config
from train.loop.non_finite_locator import NonFiniteLocator, first_non_finite
from train.step.parallel import Jit, Pmap
from train.step.step import TrainState
from train.step.update_guard import REJECTED, UpdateGuard, make_guard

pytestmark = pytest.mark.filterwarnings("ignore:.*donated buffers.*")
SGD = optax.sgd(0.1)
NAN, INF = float("nan"), float("inf")


def after(guard, losses, norms=None, results=None):
  """Whether each of a sequence of steps was rejected."""
  state, rejected = guard.initial_state(), []
  for step, loss in enumerate(losses):
    metrics = {"loss": jnp.float32(loss), "gradient_norm": jnp.float32(norms[step] if norms else 1)}
    result = {"w": jnp.float32([1, results[step] if results else 1])}
    hold, watched, more = guard.check(state, metrics, result)
    old = TrainState(jnp.int32(step), {}, {}, {}, state)
    new = TrainState(jnp.int32(step + 1), {}, {}, {}, watched)
    settled = guard.select(hold, old, new)
    chex.assert_trees_all_equal_shapes_and_dtypes(settled, old)
    state = settled.guard
    assert float(more[REJECTED]) == float(hold)
    rejected.append(int(hold))
  return rejected


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_non_finite_updates_are_rejected(bad):
  skip = UpdateGuard("skip")
  assert after(skip, [1, bad, 1]) == [0, 1, 0]
  assert after(skip, [1, 1, 1], norms=[1, bad, 1]) == [0, 1, 0]
  assert after(skip, [1, 1, 1], results=[1, bad, 1]) == [0, 1, 0]
  assert after(skip, [1, 1], results=[1, 1e30]) == [0, 1], "one step more and it overflows"


@pytest.mark.parametrize("action", ["stop", "rollback"])
def test_the_state_stays_after_a_rejected_step(action):
  assert after(UpdateGuard(action), [1, NAN, 1, 1]) == [0, 1, 1, 1]


def test_spikes_against_the_median():
  guard = UpdateGuard("skip", loss_spike_factor=2.0, window=3)
  assert after(guard, [9, 1, 1, 1, 2.1, 2, 1]) == [0, 0, 0, 0, 1, 0, 0]
  assert after(guard, [5, 1, 50]) == [0, 0, 0], "not before the window is full"
  assert after(guard, [1, 1, 1, 9, 9, 9, 9]) == [0, 0, 0, 1, 1, 1, 1], "rejected steps do not count"
  assert after(UpdateGuard("skip", window=1), [1, 1, 99]) == [0, 0, 0], "off by default"
  norms = UpdateGuard("skip", gradient_spike_factor=3.0, window=2)
  assert after(norms, [1, 1, 1, 1], norms=[1, 2, 4, 5]) == [0, 0, 0, 0]
  assert after(norms, [1, 1, 1, 1], norms=[1, 2, 5, 5]) == [0, 0, 1, 1]


@pytest.mark.parametrize(
  ("field", "value", "message"),
  [
    ("action", "warn", "guard.action: expected one of stop, skip, rollback, got 'warn'"),
    (
      "loss_spike_factor",
      0.5,
      "guard.loss_spike_factor: expected 0 or more than 1 times the median, got 0.5",
    ),
    ("gradient_spike_factor", -1.0, "guard.gradient_spike_factor: expected 0 or more"),
    ("window", 0, "guard.window: expected at least 1, got 0"),
    ("rollback_steps", -1, "guard.rollback_steps: expected at least 0, got -1"),
  ],
)
def test_bad_guard_settings_are_refused(field, value, message):
  with pytest.raises(ValueError, match=message):
    make_guard(tiny_config(**{f"guard__{field}": value}).guard)


class Root(nn.Module):
  """Finite forwards; the derivative at the largest value is not."""

  window_shape: tuple
  strides: tuple
  padding: object

  @nn.compact
  def __call__(self, x):
    return nn.avg_pool(jnp.sqrt(jnp.abs(x - x.max())), self.window_shape, self.strides, "VALID")


def located(parallel, change=lambda params: params, pool=PolynomialPool, tx=SGD):
  model = models.build("vgg_mini", 3, pool=pool)
  images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
  batch = {"image": images, "label": np.zeros((8, 32, 32), np.uint8)}
  variables = jax.device_get(jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 32, 32, 3))))
  params = change(variables["params"])
  state = TrainState(jnp.int32(4), params, variables.get("batch_stats", {}), tx.init(params))
  state = jax.device_get(state)
  placed = parallel.place_state(state)
  kept, findings = NonFiniteLocator(model, TORCHVISION, tx, parallel, seed=0)(placed, batch, 4)
  chex.assert_trees_all_equal(state, kept, strict=True)
  return findings, first_non_finite(findings)


def factory(pool):
  return lambda window_shape, strides, padding, name: pool(window_shape, strides, padding, name=name)


def times(path, factor):
  """Multiplies one parameter."""

  def change(params):
    *above, last = path.split("/")
    node = params
    for key in above:
      node = node[key]
    node[last] = (node[last] * np.float32(factor)).astype(np.float32)
    return params

  return change


@pytest.mark.parametrize("parallel", [Pmap, Jit])
def test_locates_a_parameter(parallel):
  findings, first = located(parallel(), times("backbone/conv2_1/kernel", NAN), factory(PolynomialPool))
  assert first == {"kind": "parameter", "layer": "backbone/conv2_1/kernel"}
  looks = {layer: bad for layer, bad, _ in findings["layers"]}
  assert looks["backbone/pool1"] == 0
  assert looks["backbone/conv2_1"] == 8 * 16 * 16 * 32, "all values of the global batch"


class Exponential(nn.Module):
  """Overflows from 89 on."""

  window_shape: tuple
  strides: tuple
  padding: object

  @nn.compact
  def __call__(self, x):
    return nn.avg_pool(jnp.exp(100 * x), self.window_shape, self.strides)


def test_locates_an_activation_of_a_pool():
  findings, first = located(Pmap(), pool=factory(Exponential))
  assert first == {"kind": "activation", "layer": "backbone/pool1"}
  names = [layer for layer, bad, _ in findings["layers"] if not bad]
  assert names[-1] == "backbone/norm1_2", "no layer after it is finite"


def test_locates_an_activation():
  findings, first = located(Pmap(), times("backbone/conv2_1/kernel", 3e38), factory(PolynomialPool))
  assert first == {"kind": "activation", "layer": "backbone/conv2_1"}
  chex.assert_tree_all_finite([largest for _, _, largest in findings["layers"]])


def test_locates_a_gradient():
  findings, first = located(Pmap(), pool=factory(Root))
  assert not any(bad for _, bad, _ in findings["layers"])
  assert first["kind"] == "gradient"
  assert first["layer"].startswith("backbone/norm2_2"), "what lies before the last pool"


def test_locates_an_update():
  findings, first = located(Pmap(), pool=factory(PolynomialPool), tx=optax.scale(np.float32(INF)))
  assert first["kind"] == "update"
  assert not any(bad for name in ("layers", "loss", "gradients") for _, bad, _ in findings[name])


def test_locates_nothing_where_all_is_finite():
  findings, first = located(Jit(), pool=factory(PolynomialPool))
  assert first is None
  layers = {name for name, _, _ in findings["layers"]}
  assert layers >= {"backbone/conv1_1", "backbone/pool1", "backbone/pool2", "logits"}
  assert "backbone/pool1/alpha" not in layers, "it lies within what a CPU recomputes"

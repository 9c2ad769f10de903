"""`remat_on_cpu` does not change a function, whatever its alpha source does."""

import functools
import re

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppool_jax as pp
from ppool_jax.layers import remat_cpu
from ppool_jax.layers.remat_cpu import remat_on_cpu

X = np.float32(np.random.default_rng(0).normal(size=(2, 6, 8, 3)))


class Busy(nn.Module):
  """A source with parameters, a state, random numbers, a sown value and a submodule."""

  @nn.compact
  def __call__(self, x, window_shape, strides=None, padding="VALID"):
    mean = nn.BatchNorm(use_running_average=False, momentum=0.5)(x).mean((1, 2), keepdims=True)
    mean = nn.Dropout(0.5, deterministic=False)(mean)
    self.sow("intermediates", "mean", mean)
    return 3 + nn.Dense(3)(mean) ** 2


class Pool(nn.Module):
  """A pooling, rematerialized or not."""

  lift: bool

  @nn.compact
  def __call__(self, x):
    def pool(source, x):
      alpha = source(x, (2, 2))
      return pp.polynomial_pool(x, alpha, (2, 2), (2, 2)), alpha

    return (remat_on_cpu(pool) if self.lift else pool)(Busy(name="alpha"), x)


@pytest.fixture(scope="module")
def variables():
  return Pool(lift=False).init({"params": jax.random.key(1), "dropout": jax.random.key(2)}, X)


def outcome(lift, variables, x):
  """All results of a call, and the gradients."""

  def loss(params, x):
    (y, alpha), changed = Pool(lift).apply(
      {**variables, "params": params},
      x,
      mutable=["batch_stats", "intermediates"],
      rngs={"dropout": jax.random.key(3)},
    )
    return (y**2).sum() + alpha.sum(), (y, alpha, changed)

  return jax.value_and_grad(loss, (0, 1), has_aux=True)(variables["params"], x)


def test_rematerialized_pool_equals_the_plain_one(variables):
  found, expected = (jax.jit(functools.partial(outcome, lift))(variables, X) for lift in (True, False))
  chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6, strict=True)
  assert expected[0][1][2]["intermediates"], "nothing was sown"


def test_calls_outside_of_jit_are_not_lifted(monkeypatch, variables):
  """Calls outside of jit are not lifted, as each would be compiled, and so would its gradients."""
  monkeypatch.setattr(remat_cpu, "lift_transform", None)
  Pool(lift=True).init({"params": jax.random.key(1), "dropout": jax.random.key(2)}, X)
  found, expected = (outcome(lift, variables, X) for lift in (True, False))
  chex.assert_trees_all_equal(found, expected, strict=True)
  with pytest.raises(TypeError, match="not callable"):
    jax.jit(functools.partial(outcome, True))(variables, X)


def test_forward_mode_second_order_and_vmap(variables):
  def loss(lift, x):
    y, alpha = Pool(lift).apply(variables, x, rngs={"dropout": jax.random.key(3)}, mutable=["batch_stats"])[0]
    return (y**3).sum() + alpha.sum()

  def everything(lift):
    gradient = jax.grad(functools.partial(loss, lift))
    forward = jax.jvp(functools.partial(loss, lift), (X,), (jnp.cos(X),))
    return forward, jax.jvp(gradient, (X,), (jnp.sin(X),)), jax.vmap(gradient)(jnp.stack([X, 2 * X]))

  found, expected = (jax.jit(functools.partial(everything, lift))() for lift in (True, False))
  chex.assert_trees_all_close(found, expected, rtol=2e-4, atol=2e-4, strict=True)


def test_one_call_in_each_pass():
  """A CPU's program has one call of the pool in each pass; programs for other platforms have none."""
  layer = pp.PolynomialPool((2, 2), (2, 2))
  variables = layer.init(jax.random.key(0), X)
  traced = jax.jit(jax.grad(lambda v, x: (layer.apply(v, jnp.sin(x)) ** 2).sum(), (0, 1))).trace(variables, X)
  compiled = traced.lower(lowering_platforms=("cpu",)).compile().as_text()
  assert len(re.findall(r' call\(.*inlineable="false"', compiled)) == 2
  for platform in ("tpu", "cuda"):
    assert "inlineable" not in traced.lower(lowering_platforms=(platform,)).as_text()

"""Helpers for the tests of layers: an input, parameters of a side branch, small networks, and gradients."""

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

import ppool_jax as pp

X = jax.random.uniform(jax.random.key(0), (2, 6, 6, 4), minval=0.1)
TILES = ((2, 2), (2, 2), "VALID")
C = (4,)
NHWC = ("NHWC", "HWIO", "NHWC")
FROM_3 = functools.partial(pp.SideBranch, initial=3.0)
BRANCH = {"depthwise": (2, 2, 4), "prelu": C, "pointwise": C, "bias": C}


def make(pool, **kwargs):
  """The layer that a config's `pool` names, for 2x2 windows of stride 2."""
  return pp.pool_factory(pool)(window_shape=(2, 2), strides=(2, 2), padding="VALID", **kwargs)


def abstract_arrays(tree):
  """A tree of shapes as a tree of abstract float32 arrays."""
  return jax.tree.map(
    lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32), tree, is_leaf=lambda node: isinstance(node, tuple)
  )


def init_params(layer, x=X, seed=1):
  """The initial parameters of a layer."""
  return jax.jit(layer.init)(jax.random.key(seed), x).get("params", {})


def apply(layer, params, x=X, **kwargs):
  """The layer's output."""
  return jax.jit(functools.partial(layer.apply, **kwargs))({"params": params}, x)


class Mine(nn.Module):
  """An alpha source as a user would write it."""

  @nn.compact
  def __call__(self, x, window_shape, strides, padding):
    scale = self.param("scale", nn.initializers.constant(2.0), ())
    self.sow("intermediates", "scale", scale)
    return scale * nn.sigmoid(pp.avg_pool(x, window_shape, strides, padding))


class Net(nn.Module):
  """Two convolutions, each followed by a pool; both pools come from the same factory."""

  pool: Any = "ppool"

  @nn.compact
  def __call__(self, x):
    for i in (1, 2):
      x = nn.softplus(nn.Conv(4, (3, 3), name=f"conv{i}")(x))
      x = pp.pool_factory(self.pool, f"pool{i}")((2, 2), strides=(2, 2), padding="SAME", name=f"pool{i}")(x)
    return x


def with_alpha(source):
  """A network's `pool`: polynomial pooling with this alpha source."""
  return ("ppool", {"alpha": source})


def value_alpha_gradients(layer, params, x, cotangent):
  """y, the alpha map, and the derivatives of sum(cotangent * y) for the parameters and x."""

  def pool(params, x):
    y, state = layer.apply({"params": params}, x, mutable=["intermediates"])
    return y, state["intermediates"]["alpha"]

  y, back, sown = jax.vjp(pool, params, x, has_aux=True)
  (alpha,) = sown["alpha"] if isinstance(sown, Mapping) else sown  # a dict if the source sows too
  return y, alpha, *back(cotangent)


def random_branch(seed=0):
  """Parameters of a side branch of which none is zero, and with which alpha stays inside its range."""
  keys = jax.random.split(jax.random.key(seed), 4)
  scales = {"depthwise": 1.0, "prelu": 0.3, "pointwise": 0.05, "bias": 1.0}
  params = {
    name: scales[name] * jax.random.normal(key, BRANCH[name]) for name, key in zip(BRANCH, keys, strict=True)
  }
  return {"alpha": {**params, "bias": params["bias"] + 10}}


def alpha_of(layer, params, x=X):
  """The alpha map and the output of a pooling layer."""
  y, state = apply(layer, params, x, mutable=["intermediates"])
  return state["intermediates"]["alpha"][0], y

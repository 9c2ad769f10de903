"""The baseline poolings of the tests: a call and parameters of each, for several geometries."""

import jax
import jax.numpy as jnp
import numpy as np

import ppool_jax as pp
from ppool_jax.pooling.depthwise import depthwise_conv

GEOMETRIES = {
  "tiles": ((2, 2), (2, 2), "VALID"),
  "overlap": ((3, 2), (2, 1), ((1, 2), (0, 1))),
}


def dpp(variant):
  """DPP as `pool(x, args, alpha, lam, kernel=None)`."""

  def pool(x, args, alpha, lam, kernel=None):
    return pp.detail_preserving_pool(x, alpha, lam, *args, variant=variant, kernel=kernel)

  return pool


def per_channel(low, high):
  """Parameters `[channels]` for any window."""
  return lambda rng, window: rng.uniform(low, high, 2)


def normal(*shape):
  """Parameters `[*window]` followed by `shape`."""
  return lambda rng, window: rng.normal(size=(*window, *shape))


def fixed(*shape):
  """Parameters of one shape."""
  return lambda rng, window: rng.normal(size=shape)


UNIT = per_channel(-1, 1)
# `pool(x, args, *parameters)` and a maker of each parameter.
POOLS = {
  "max": (lambda x, args: pp.max_pool(x, *args),),
  "avg": (lambda x, args: pp.avg_pool(x, *args),),
  "soft": (lambda x, args: pp.soft_pool(x, *args),),
  "lp": (lambda x, args, p: pp.lp_pool(x, p, *args), per_channel(1.5, 4)),
  "mixed": (lambda x, args, mix: pp.mixed_pool(x, mix, *args), UNIT),
  "gated": (lambda x, args, mask: pp.gated_pool(x, mask, *args), normal()),
  "gated by channel": (lambda x, args, mask: pp.gated_pool(x, mask, *args), normal(2)),
  "dpp sym_lite": (dpp("sym_lite"), UNIT, UNIT),
  "dpp asym_lite": (dpp("asym_lite"), UNIT, UNIT),
  "dpp asym_raw": (dpp("asym_raw"), per_channel(0, 2), UNIT),
  "dpp sym_full": (dpp("sym_full"), UNIT, UNIT, fixed(3, 3, 2)),
  "dpp asym_full": (dpp("asym_full"), UNIT, UNIT, fixed(3, 3, 2)),
  "depthwise": (lambda x, args, kernel: depthwise_conv(x, kernel, *args[1:]), normal(2)),
  "strided": (lambda x, args: pp.strided_pool(x, args[1]),),
  "conv": (lambda x, args, k, b: pp.conv_pool(x, k, b, args[1]), fixed(3, 3, 2, 3), fixed(3)),
}


def build(name, geometry, dtype=np.float64):
  """`pool(x, *parameters)` for a geometry, its parameters, and a generator of numbers."""
  pool, *makers = POOLS[name]
  rng, args = np.random.default_rng(0), GEOMETRIES[geometry]
  if name.endswith("full") and geometry == "overlap":
    args = ((3, 2), (2, 1), ((1, 1), (0, 1)))  # no more outputs than the 3x3 convolution has
  return lambda x, *z: pool(x, args, *z), [make(rng, args[0]).astype(dtype) for make in makers], rng


def gradients(pool, x, *parameters):
  """y, and the derivatives of its sum for x and each parameter."""

  def run(*args):
    y, pull = jax.vjp(pool, *args)
    return y, pull(jnp.ones_like(y))

  return jax.jit(run)(x, *parameters)


WINDOWED = [name for name in POOLS if name not in ("strided", "conv")]

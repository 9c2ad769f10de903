"""Gradients of the baseline poolings: exact, finite, shared by ties; and errors for bad arguments."""

import functools
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from jax.test_util import check_grads

from ppool_jax import (
  avg_pool,
  conv_pool,
  detail_preserving_pool,
  gated_pool,
  lp_pool,
  max_pool,
  mixed_pool,
  soft_pool,
  strided_pool,
)
from ppool_jax.pooling.depthwise import depthwise_conv

GEOMETRIES = {
  "tiles": ((2, 2), (2, 2), "VALID"),
  "overlap": ((3, 2), (2, 1), ((1, 2), (0, 1))),
}
LARGEST = 3e38
# DPP bends within hundredths: steps are small.
TOLERANCE = {"atol": 1e-6, "rtol": 1e-6, "eps": 1e-6}


def dpp(variant):
  """DPP as `pool(x, args, alpha, lam, kernel=None)`."""

  def pool(x, args, alpha, lam, kernel=None):
    return detail_preserving_pool(x, alpha, lam, *args, variant=variant, kernel=kernel)

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
  "max": (lambda x, args: max_pool(x, *args),),
  "avg": (lambda x, args: avg_pool(x, *args),),
  "soft": (lambda x, args: soft_pool(x, *args),),
  "lp": (lambda x, args, p: lp_pool(x, p, *args), per_channel(1.5, 4)),
  "mixed": (lambda x, args, mix: mixed_pool(x, mix, *args), UNIT),
  "gated": (lambda x, args, mask: gated_pool(x, mask, *args), normal()),
  "gated by channel": (lambda x, args, mask: gated_pool(x, mask, *args), normal(2)),
  "dpp sym_lite": (dpp("sym_lite"), UNIT, UNIT),
  "dpp asym_lite": (dpp("asym_lite"), UNIT, UNIT),
  "dpp asym_raw": (dpp("asym_raw"), per_channel(0, 2), UNIT),
  "dpp sym_full": (dpp("sym_full"), UNIT, UNIT, fixed(3, 3, 2)),
  "dpp asym_full": (dpp("asym_full"), UNIT, UNIT, fixed(3, 3, 2)),
  "depthwise": (lambda x, args, kernel: depthwise_conv(x, kernel, *args[1:]), normal(2)),
  "strided": (lambda x, args: strided_pool(x, args[1]),),
  "conv": (lambda x, args, k, b: conv_pool(x, k, b, args[1]), fixed(3, 3, 2, 3), fixed(3)),
}


def build(name, geometry, dtype=np.float64):
  """`pool(x, *parameters)` for a geometry, its parameters, and a generator of numbers."""
  pool, *makers = POOLS[name]
  rng, args = np.random.default_rng(0), GEOMETRIES[geometry]
  if name.endswith("full") and geometry == "overlap":
    args = ((3, 2), (2, 1), ((1, 1), (0, 1)))  # no more outputs than the 3x3 convolution has
  return lambda x, *z: pool(x, args, *z), [make(rng, args[0]).astype(dtype) for make in makers], rng


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("name", POOLS)
def test_float64_gradients(name, geometry):
  """The derivatives for x and every parameter, forward and reverse, agree with differences of the values."""
  pool, parameters, rng = build(name, geometry)
  x = rng.normal(size=(2, 6, 6, 2))
  with jax.enable_x64(True):
    check_grads(jax.jit(pool), (x, *parameters), order=1, modes=("fwd", "rev"), **TOLERANCE)


def with_cotangent(pool, *operands):
  """y, and the derivatives of sum(sin(y)) for every operand."""
  y, back = jax.vjp(pool, *operands)
  return y, back(jnp.cos(y))


@functools.cache
def in_float64(name):
  """A pool of two windows along each axis, its float32 operands, and `with_cotangent` of them in float64."""
  pool, parameters, rng = build(name, "overlap", np.float32)
  operands = np.float32(rng.normal(size=(1, 4, 4, 2))), *parameters
  with jax.enable_x64(True):
    exact = jax.device_get(jax.jit(functools.partial(with_cotangent, pool))(*map(np.float64, operands)))
  return pool, operands, exact


class VariantsTest(chex.TestCase):
  """Values and gradients with jit, without, with `pmap`, and for operands on a device and in NumPy."""

  @chex.all_variants
  @parameterized.parameters(*POOLS)
  def test_value_and_gradients(self, name):
    """They equal those in float64, which other tests check; gradients have the shapes of operands."""
    pool, operands, exact = in_float64(name)
    y, grads = self.variant(functools.partial(with_cotangent, pool))(*operands)
    chex.assert_tree_all_finite((y, grads))
    chex.assert_type(y, np.float32)
    chex.assert_trees_all_equal_shapes_and_dtypes(grads, operands)
    chex.assert_trees_all_close((y, grads), exact, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["soft", "lp"])
def test_second_order(name):
  """The closed-form derivatives of SoftPool and Lp pooling have the right derivatives themselves."""
  pool, parameters, rng = build(name, "tiles")
  with jax.enable_x64(True):
    x = rng.normal(size=(4, 4, 2))
    every = range(1 + len(parameters))
    gradient = jax.grad(lambda x, *z: jnp.sum(jnp.sin(pool(x, *z))), argnums=every)
    check_grads(jax.jit(gradient), (x, *parameters), order=1, modes=("rev",), **TOLERANCE)


def images(dtype):
  """Images of zeros, ties, zeros among others, both signs, and sizes from 1e-40 to 1e30, `[N, 6, 6, 2]`."""
  rng, shape = np.random.default_rng(1), (6, 6, 2)
  relu = np.maximum(rng.normal(size=shape), 0)
  signs = rng.choice([-1, 1], shape)
  sizes = 10.0 ** rng.integers(-40, 31, shape)
  tied = rng.integers(-2, 3, shape)
  same = [np.full(shape, value) for value in (0, 1, -1, 1e-40, 1e30, -1e30)]
  one = np.zeros(shape)
  one[3, 3] = 1e30
  return jnp.asarray(np.stack([*same, one, relu, tied, sizes, sizes * signs, -sizes, relu * 1e30]), dtype)


def gradients(pool, x, *parameters):
  """y, and the derivatives of its sum for x and each parameter."""

  def run(*args):
    y, pull = jax.vjp(pool, *args)
    return y, pull(jnp.ones_like(y))

  return jax.jit(run)(x, *parameters)


WINDOWED = [name for name in POOLS if name not in ("strided", "conv")]


@pytest.mark.parametrize(
  ("geometry", "dtype"), [("tiles", jnp.float32), ("overlap", jnp.float32), ("overlap", jnp.bfloat16)]
)
@pytest.mark.parametrize("name", WINDOWED)
def test_finite_for_every_image(name, geometry, dtype):
  """Values and gradients are finite on all-zero windows, ties, zeros and sizes to 1e30, padding or not."""
  pool, parameters, _ = build(name, geometry, np.float32)
  x = images(dtype)
  y, grads = gradients(pool, x, *parameters)
  chex.assert_tree_all_finite((y, grads))
  chex.assert_type(y, dtype)
  chex.assert_trees_all_equal_shapes_and_dtypes(grads, (x, *parameters))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("name", ["max", "avg", "soft", "lp"])
def test_finite_at_the_largest_numbers(name, geometry, dtype):
  """For x >= 0 nothing overflows but y itself, up to 3e38; y stays within the window's range or above it."""
  pool, _, rng = build(name, geometry)
  x = np.zeros((4, 6, 6, 2))
  x[0, 2, 3] = x[1, 2, 3] = LARGEST
  x[1] += rng.uniform(0, 1, x[1].shape)
  if name != "lp":  # two such elements already overflow y
    x[2], x[3] = LARGEST, LARGEST * rng.choice([0, 0.5, 1], x[3].shape)
  parameters = [jnp.float32([1.5, 3])] if name == "lp" else []
  y, grads = gradients(pool, jnp.asarray(x, dtype), *parameters)
  assert float(y.max()) > 0.9 * LARGEST / (6 if name == "avg" else 1)
  chex.assert_tree_all_finite((y, grads))


@pytest.mark.parametrize("padding", ["VALID", ((1, 1),)])
def test_average_of_elements_whose_sum_overflows(padding):
  """The value is right, not only finite: XLA takes a constant power of two out of a sum."""
  x = np.float32([[3e38, 3e38, 0, 0], [3e38, 3e38, 3e38, 0], [3e38, -3e38, 3e38, 3e38], [1e38] * 4])[
    ..., None
  ]
  exact = np.float64(x).mean(1, keepdims=True) if padding == "VALID" else None
  for pool in (avg_pool, lambda x, *args: mixed_pool(x, 0.0, *args)):
    y = np.float64(jax.jit(lambda x, pool=pool: pool(x, (4,), (4,), padding))(x))
    want = exact if exact is not None else np.float64(x)[:, :3].mean(1, keepdims=True)
    chex.assert_trees_all_close(y[:, :1], want, rtol=1e-6, strict=True)


def test_ties_of_max_pooling_share():
  """Each of k tied elements receives 1/k of the gradient, in a window cut short by padding too."""
  x = jnp.array([[2, 2, 1], [2, 0, 3], [0, 0, 3]], jnp.float32)[..., None]
  dx = gradients(lambda x: max_pool(x, (2, 2), (2, 2), ((0, 1), (0, 1))), x)[1][0]
  np.testing.assert_allclose(dx[..., 0], [[1 / 3, 1 / 3, 0], [1 / 3, 0, 1], [0.5, 0.5, 1]], rtol=1e-6)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("name", [name for name in WINDOWED if not name.endswith("full")])
def test_nan_stays_in_its_windows(name, geometry):
  """A NaN makes the windows that hold it NaN, in its channel, and no others."""
  pool, parameters, rng = build(name, geometry, np.float32)
  x = np.float32(rng.normal(size=(2, 6, 6, 2)))
  x[1, 2, 3, 1] = np.nan
  args = GEOMETRIES[geometry]
  holds = jax.jit(lambda x: depthwise_conv(x, jnp.ones((*args[0], 1)), *args[1:]))(np.float32(np.isnan(x)))
  chex.assert_trees_all_equal(np.isnan(jax.jit(pool)(x, *parameters)), np.asarray(holds) > 0, strict=True)


@pytest.mark.parametrize("variant", ["sym_lite", "asym_lite", "asym_raw"])
@pytest.mark.parametrize("value", [100, 1e30])
def test_padding_does_not_reach_the_gradient_of_dpp(variant, value):
  """With equal elements every DPP is the average, and so is its gradient, whatever their distance to 0."""
  x = jnp.broadcast_to(value * jnp.float32([1, -1]), (5, 4, 2))
  args = ((3, 2), (2, 2), ((1, 1), (0, 1)))
  y, (dx, *_) = gradients(lambda x, alpha, lam: dpp(variant)(x, args, alpha, lam), x, 0.5, 3.0)
  chex.assert_trees_all_close(y, avg_pool(x, *args), rtol=1e-6, strict=True)
  chex.assert_trees_all_close(dx, gradients(lambda x: avg_pool(x, *args), x)[1][0], rtol=1e-5, strict=True)


X = np.ones((2, 6, 6, 3), np.float32)
ARGS = ((2, 2), (2, 2))
K, B = np.ones((3, 3, 3, 4), np.float32), np.ones(4, np.float32)
# A call, the exception, and the words that its message must hold: the first begins it.
BAD_CALLS = {
  "avg of integers": (lambda: avg_pool(X.astype(int), *ARGS), TypeError, "x:|floating|int64"),
  "avg, window": (lambda: avg_pool(X, (7, 2)), ValueError, "window_shape:|larger|(7, 2)"),
  "soft, strides": (lambda: soft_pool(X, (2, 2), (0, 1)), ValueError, "strides:|positive|(0, 1)"),
  "soft, padding": (lambda: soft_pool(X, *ARGS, "FULL"), ValueError, "padding:|SAME|FULL"),
  "p below 1": (lambda: lp_pool(X, 0.5, *ARGS), ValueError, "p:|>= 1|0.5"),
  "p NaN": (lambda: lp_pool(X, [1, np.nan, 2], *ARGS), ValueError, "p:|>= 1|nan"),
  "p None": (lambda: lp_pool(X, None, *ARGS), TypeError, "p:|real|None"),
  "p's shape": (lambda: lp_pool(X, jnp.ones(2), *ARGS), ValueError, "p:|(2, 3, 3, 3)|(2,)"),
  "mix a name": (lambda: mixed_pool(X, "max", *ARGS), TypeError, "mix:|real|max"),
  "mix's shape": (lambda: mixed_pool(X, X, *ARGS), ValueError, "mix:|(2, 3, 3, 3)|(2, 6, 6, 3)"),
  "mix NaN": (lambda: mixed_pool(X, np.nan, *ARGS), ValueError, "mix:|nan"),
  "mask a number": (lambda: gated_pool(X, 1.0, *ARGS), TypeError, "mask:|floating|1.0"),
  "mask's shape": (lambda: gated_pool(X, K[:2], *ARGS), ValueError, "mask:|(2, 2, 3)|(2, 3, 3, 4)"),
  "mask a channel short": (lambda: gated_pool(X, X[0, :2, :2, :2], *ARGS), ValueError, "mask:|(2, 2, 2)"),
  "variant": (lambda: dpp("lite")(X, ARGS, 0.0, 0.0), ValueError, "variant:|sym_lite|'lite'"),
  "alpha": (lambda: dpp("sym_lite")(X, ARGS, "a", 0.0), TypeError, "alpha:|real|'a'"),
  "lam": (lambda: dpp("sym_lite")(X, ARGS, 0.0, np.ones(2)), ValueError, "lam:|(2, 3, 3, 3)|(2,)"),
  "no kernel": (lambda: dpp("sym_full")(X, ARGS, 0.0, 0.0), ValueError, "kernel:|(3, 3, 3)|sym_full"),
  "lite kernel": (lambda: dpp("sym_lite")(X, ARGS, 0.0, 0.0, X[0]), ValueError, "kernel:|None|(6, 6, 3)"),
  "full": (
    lambda: dpp("sym_full")(X, ((2, 2), None, ((1, 1), (1, 1))), 0.0, 0.0, K[..., 0]),
    ValueError,
    "variant:|(7, 7)|(6, 6)",
  ),
  "strided by 0": (lambda: strided_pool(X, (2, 0)), ValueError, "strides:|positive|(2, 0)"),
  "strided integers": (lambda: strided_pool(X.astype(int), (2, 2)), TypeError, "x:|floating|int64"),
  "strided by a number": (lambda: strided_pool(X, 2), TypeError, "strides:|tuple|2"),
  "even kernel": (lambda: conv_pool(X, K[:2], B, (2, 2)), ValueError, "kernel:|odd|(2, 3, 3, 4)"),
  "kernel's channels": (
    lambda: conv_pool(X, K[:, :, :2], B, (2, 2)),
    ValueError,
    "kernel:|3, features|(3, 3, 2",
  ),
  "bias": (lambda: conv_pool(X, K, B[:3], (2, 2)), ValueError, "bias:|(4,)|(3,)"),
  "bias None": (lambda: conv_pool(X, K, None, (2, 2)), TypeError, "bias:|floating|None"),
  "depthwise kernel": (lambda: depthwise_conv(X, K), ValueError, "kernel:|3|(3, 3, 3, 4)"),
  "depthwise window": (
    lambda: depthwise_conv(X, np.ones((7, 2, 3))),
    ValueError,
    "window_shape:|larger|(7, 2)",
  ),
  "dilated window": (
    lambda: depthwise_conv(X, np.ones((3, 2, 3)), dilation=(3, 1)),
    ValueError,
    "window_shape:|larger|(3, 2)|7 > 0 + 6 + 0",
  ),
  "dilation 0": (lambda: depthwise_conv(X, X[0], dilation=(0, 1)), ValueError, "dilation:|positive|(0, 1)"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_refused_by_name(name):
  """A bad argument raises an error with its name, its value and what was expected."""
  call, error, words = BAD_CALLS[name]
  first, *others = words.split("|")
  with pytest.raises(error, match=f"^{re.escape(first)}") as raised:
    call()
  for word in others:
    assert word in str(raised.value)

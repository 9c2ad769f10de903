"""The TPU's formulation of P-pooling: run on a CPU, compared with the CPU's formulation, and compiled."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.layout import Format, Layout

import ppool_jax as pp
from benchmarks import tpu_bytes
from ppool_jax import polynomial_pool
from ppool_jax.pooling.depthwise import depthwise_conv
from tests.helpers.sweeps import sweep
from train.planning.topology import topology_devices

GEOMETRIES = {
  "2x2": ((4, 6, 8, 3), (2, 2), "VALID"),
  "rows and columns that are left over": ((2, 7, 5, 3), (2, 2), "VALID"),
  "padded": ((2, 7, 5, 3), (3, 2), "SAME"),
  "1-D": ((5, 9, 2), (3,), "VALID"),
  "3-D": ((2, 4, 4, 6, 2), (2, 2, 3), "VALID"),
  "one example": ((6, 6, 2), (3, 3), "VALID"),
}
OFTEN = ("2x2", "rows and columns that are left over", "padded", "3-D")
"""Those that not only the sweeps use."""
close = functools.partial(chex.assert_trees_all_close, rtol=1e-6, atol=1e-6, strict=True)


def for_tpu(*operands, default, **by_platform):
  return by_platform.get("tpu", default)(*operands)


@pytest.fixture
def on_tpu(monkeypatch):
  """Calls a function on the CPU in the formulation for a TPU."""

  def call(function, *args):
    jax.clear_caches()
    with monkeypatch.context() as patch:
      patch.setattr(jax.lax, "platform_dependent", for_tpu)
      result = jax.jit(function)(*args)
    jax.clear_caches()
    return result

  return call


def data(shape, window, padding):
  """x with zeros, ties and negatives; alpha with 0 and inf; a cotangent."""
  rng = np.random.default_rng(0)
  x = np.float32(np.round(np.maximum(rng.normal(size=shape), -0.5) * 4) / 4)
  out = jax.eval_shape(lambda x: polynomial_pool(x, 1.0, window, window, padding), x).shape
  alpha = np.float32(rng.choice([0, 0.5, 3, 35, np.inf], out))
  return x, alpha, np.float32(rng.normal(size=out))


def everything(window, padding, shift, x, alpha, dy):
  """Value, both gradients, and a derivative of them."""
  pool = functools.partial(polynomial_pool, window_shape=window, strides=window, padding=padding, shift=shift)

  def both(x, alpha):
    y, back = jax.vjp(pool, x, alpha)
    return y, back(dy)

  directions = jnp.cos(jnp.arange(x.size, dtype=x.dtype)).reshape(x.shape), jnp.ones_like(alpha)
  return both(x, alpha), jax.jvp(both, (x, jnp.minimum(alpha, 3.0)), directions)[1]


@pytest.mark.parametrize(
  ("name", "shift"),
  [
    *((name, None) for name in OFTEN),
    *(("padded", shift) for shift in ("window", "channel")),
    *(sweep(name, None) for name in GEOMETRIES if name not in OFTEN),
    *(sweep(name, shift) for name in GEOMETRIES if name != "padded" for shift in ("window", "channel")),
  ],
)
def test_tpu_formulation_equals_the_cpu_one(on_tpu, name, shift):
  shape, window, padding = GEOMETRIES[name]
  operands = data(shape, window, padding)
  program = functools.partial(everything, window, padding, shift)
  close(on_tpu(program, *operands), jax.jit(program)(*operands))


@pytest.mark.parametrize("name", ["2x2", "rows and columns that are left over", "padded"])
def test_tpu_formulation_equals_the_cpu_one_in_bfloat16(on_tpu, name):
  """The cast is in another place, but the numbers are the same: each element of dx has one nonzero part."""
  shape, window, padding = GEOMETRIES[name]
  x, alpha, dy = data(shape, window, padding)
  operands = x.astype(jnp.bfloat16), alpha, dy.astype(jnp.bfloat16)
  program = functools.partial(everything, window, padding, None)
  found, expected = on_tpu(program, *operands), jax.jit(program)(*operands)
  chex.assert_trees_all_equal_shapes_and_dtypes(found, expected)
  chex.assert_trees_all_close(found, expected, rtol=2**-7, atol=1e-6)


@pytest.mark.parametrize("width", [6, 7])
def test_source_reading_outside_windows_gets_gradients(on_tpu, width):
  """A source that reads elements outside all windows gets their derivatives too."""

  class Neighbours(nn.Module):
    @nn.compact
    def __call__(self, x, window_shape, strides, padding):
      wide = depthwise_conv(
        x, self.param("kernel", nn.initializers.ones, (3, 3, 3)), (2, 2), [(0, 1), (0, 1)]
      )
      return nn.softplus(wide) + pp.SideBranch(initial=2.0, name="branch")(x, window_shape, strides, padding)

  layer = pp.PolynomialPool((2, 2), (2, 2), alpha=Neighbours)
  x = np.float32(np.random.default_rng(0).normal(size=(2, 6, width, 3)))
  variables = layer.init(jax.random.key(0), x)
  both = jax.value_and_grad(lambda v, x: (layer.apply(v, x) ** 2).sum(), (0, 1))
  found, expected = on_tpu(both, variables, x), jax.jit(both)(variables, x)
  assert width == 6 or jnp.any(expected[1][1][:, :, -1])
  close(found, expected)


def test_vmap(on_tpu):
  shape, window, padding = GEOMETRIES["2x2"]
  operands = data(shape, window, padding)
  program = jax.vmap(functools.partial(everything, window, padding, None))
  close(on_tpu(program, *operands), jax.jit(program)(*operands))


@pytest.mark.optimized
def test_other_windows_have_one_formulation(on_tpu):
  """Overlapping and large windows."""
  x = np.float32(np.random.default_rng(0).normal(size=(2, 12, 12, 3)))
  for window, strides in (((3, 3), (2, 2)), ((6, 6), (6, 6))):
    pool = functools.partial(polynomial_pool, alpha=2.0, window_shape=window, strides=strides)
    chex.assert_trees_all_equal(on_tpu(pool, x), pool(x), strict=True)


@pytest.fixture
def kept_out_of_the_cache():
  """Disables the compilation cache: JAX stores programs for absent devices, and warns when it reads them."""
  name = "jax_persistent_cache_min_compile_time_secs"
  before = getattr(jax.config, name)
  jax.config.update(name, 1e9)
  yield
  jax.config.update(name, before)


@pytest.mark.optimized
@pytest.mark.parametrize(("dtype", "both"), [("float32", 4.2), ("bfloat16", 3.6)])
def test_bytes_on_a_tpu(kept_out_of_the_cache, dtype, both):
  """Compiled for a v5e with free layouts, the ratios to the fewest bytes are 1.0, and 3.8 or 3.3.

  The other platforms' formulation moves 8.5 in both passes; an x cast as a whole makes it 4.4 and 5.7.
  """
  pytest.importorskip("libtpu", reason="make env EXTRAS=plan")
  sharding = jax.sharding.SingleDeviceSharding(topology_devices("v5e:2x2")[0])
  pool, shape = tpu_bytes.programs()["ppool"], (8, 56, 56, 256)
  places = Format(Layout.AUTO, sharding)
  found = [tpu_bytes.bytes_ratio(pool, shape, dtype, passes, places) for passes in ("forward", "both")]
  assert found[0] < 1.1
  assert found[1] < both

"""`polynomial_pool` under JAX's transformations, and what its reverse pass keeps."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from jax.ad_checkpoint import print_saved_residuals
from jax.sharding import PartitionSpec as P

from ppool_jax import polynomial_pool
from tests.helpers import reference as ref

ARGS = (3, 2), (2, 2), ((1, 1), (0, 1))
pool = functools.partial(polynomial_pool, window_shape=ARGS[0], strides=ARGS[1], padding=ARGS[2])
close = functools.partial(chex.assert_trees_all_close, rtol=2e-6, atol=2e-6)


def data(batch=8, seed=0):
  """x with zeros and negatives, and an alpha map."""
  rng = np.random.default_rng(seed)
  x = np.float32(np.maximum(rng.normal(size=(batch, 6, 5, 3)), -0.5) * rng.integers(0, 2, (batch, 6, 5, 3)))
  return x, np.float32(rng.uniform(0, 9, ref.out_shape(x.shape, *ARGS)))


def loss(x, alpha, **kwargs):
  """A scalar whose gradient is not uniform."""
  return jnp.sum(jnp.sin(3 * pool(x, alpha, **kwargs)))


@pytest.mark.parametrize("shift", [None, "window", "channel", "example", "tensor"])
def test_jit_preserves_values_and_gradients(shift):
  """The same values and gradients under jit and without."""
  x, alpha = data()
  close(jax.jit(functools.partial(pool, shift=shift))(x, alpha), pool(x, alpha, shift=shift))
  step = jax.grad(functools.partial(loss, shift=shift), (0, 1))
  close(jax.jit(step)(x, alpha), step(x, alpha), strict=True)


class VariantsTest(chex.TestCase):
  """Values and gradients with jit, without, with `pmap`, and for x on a device and in NumPy."""

  @chex.all_variants
  @parameterized.parameters(None, "window", "channel", "example", "tensor")
  def test_value_and_gradients(self, shift):
    """y, dx and dalpha equal the formula's, have x's and alpha's shapes and dtypes, and are finite."""
    x, alpha = data(2)
    cotangent = np.float32(np.random.default_rng(1).normal(size=alpha.shape))

    @self.variant
    def found(x, alpha, cotangent):
      y, back = jax.vjp(functools.partial(pool, shift=shift), x, alpha)
      return y, *back(cotangent)

    result = found(x, alpha, cotangent)
    chex.assert_tree_all_finite(result)
    chex.assert_trees_all_equal_shapes_and_dtypes(result, (alpha, x, alpha))
    exact = ref.pool(x, alpha, *ARGS, shift=shift), *ref.pullback(x, alpha, cotangent, *ARGS, shift=shift)
    chex.assert_trees_all_close(result, jax.tree.map(np.float64, exact), rtol=1e-5, atol=1e-5)

  @chex.all_variants
  @parameterized.named_parameters(
    ("zero", 0.0), ("integer", 2), ("infinity", np.inf), ("channels", np.float32([0.5, 1, 35]))
  )
  def test_alpha_that_broadcasts(self, alpha):
    """alpha as a number or for each channel, as an argument of the compiled or mapped function."""
    x, _ = data(2)
    y = self.variant(pool)(x, alpha)
    chex.assert_type(y, np.float32)
    chex.assert_trees_all_close(y, np.float64(ref.pool(x, alpha, *ARGS)), rtol=3e-6, atol=3e-6)


@pytest.mark.parametrize("in_axes", [(0, None), (None, 0), (0, 0), (1, 3)])
def test_vmap_equals_a_loop(in_axes):
  """Values and gradients of vmap over x, over alpha and over both equal those of a loop."""
  x, alpha = (np.stack(z) for z in zip(*[data(2, seed) for seed in range(3)], strict=True))
  x, alpha = x if in_axes[0] is not None else x[0], alpha if in_axes[1] is not None else alpha[0]
  pick = lambda z, axis, i: z if axis is None else z[i]  # noqa: E731
  step = jax.jit(jax.value_and_grad(loss, (0, 1)))
  expected = [step(pick(x, in_axes[0], i), pick(alpha, in_axes[1], i)) for i in range(3)]
  moved = [
    z if axis is None else np.moveaxis(z, 0, axis) for z, axis in zip((x, alpha), in_axes, strict=True)
  ]
  result = jax.jit(jax.vmap(jax.value_and_grad(loss, (0, 1)), in_axes))(*moved)
  close(result, jax.tree.map(lambda *z: np.stack(z), *expected))


def test_vmap_keeps_the_scope_of_the_shift():
  """A shift under vmap: "tensor" is the array of the mapped function, one example."""
  x, alpha = data()
  mapped = jax.vmap(functools.partial(pool, shift="tensor"))(x, alpha)
  close(mapped, pool(x, alpha, shift="example"))


def test_jvp_agrees_with_grad():
  """Forward mode is the transpose of reverse mode."""
  x, alpha = data()
  dx, dalpha = data(seed=1)
  _, forward = jax.jvp(jax.jit(loss), (x, alpha), (dx, dalpha))
  by_x, by_alpha = jax.jit(jax.grad(loss, (0, 1)))(x, alpha)
  close(forward, np.vdot(by_x, dx) + np.vdot(by_alpha, dalpha), rtol=1e-5)


def test_hessian_vector_products_agree():
  """Grad of grad, forward over reverse, and the difference of two gradients agree."""
  rng = np.random.default_rng(2)
  with jax.enable_x64(True):
    x = (rng.permutation(2 * 6 * 5 * 3).reshape(2, 6, 5, 3) - 20.5) / 100  # no ties, no zeros: no kinks
    alpha = np.float64(data(2)[1])
    v, u = rng.normal(size=x.shape), rng.normal(size=alpha.shape)
    grad = jax.grad(loss, (0, 1))

    def dot(x, alpha):
      return sum(jnp.vdot(g, d) for g, d in zip(grad(x, alpha), (v, u), strict=True))

    over = jax.jit(lambda x, a: jax.jvp(grad, (x, a), (v, u))[1])(x, alpha)
    twice = jax.jit(jax.grad(dot, (0, 1)))(x, alpha)
    low, high = (jax.jit(grad)(x + h * v, alpha + h * u) for h in (-1e-6, 1e-6))
  chex.assert_trees_all_close(over, twice, rtol=1e-10, atol=1e-10, strict=True)
  difference = jax.tree.map(lambda a, b: (np.asarray(b) - np.asarray(a)) / 2e-6, low, high)
  chex.assert_trees_all_close(over, difference, rtol=1e-5, atol=1e-5, strict=True)


def test_pmap_equals_one_device():
  """One example on each of 8 devices gives the same as all examples on one device."""
  chex.assert_devices_available(8, "cpu")
  x, alpha = data()
  step = jax.pmap(jax.value_and_grad(loss, (0, 1)))
  value, (dx, dalpha) = step(x[:, None], alpha[:, None])
  expected, (by_x, by_alpha) = jax.jit(jax.value_and_grad(loss, (0, 1)))(x, alpha)
  close(np.sum(value), expected, rtol=1e-5)
  close((np.asarray(dx)[:, 0], np.asarray(dalpha)[:, 0]), (by_x, by_alpha), strict=True)


def test_shard_map_equals_one_device():
  """Values and gradients of shard_map over the batch, with an alpha shared by all devices."""
  x, alpha = data(16)
  alpha = alpha[:1]
  mesh = jax.make_mesh((8,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))

  def sharded(x, alpha):
    return jax.lax.psum(loss(x, alpha), "batch")

  total = jax.shard_map(sharded, mesh=mesh, in_specs=(P("batch"), P()), out_specs=P())
  result = jax.jit(jax.value_and_grad(total, (0, 1)))(x, alpha)
  expected = jax.jit(jax.value_and_grad(loss, (0, 1)))(x, alpha)
  close(result, expected, rtol=1e-5, atol=1e-5)


def test_sharded_jit():
  """A batch sharded over 8 devices under jit; "tensor" takes its minimum over all of them."""
  x, alpha = data(16)
  mesh = jax.make_mesh((8,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
  laid = jax.device_put(x, jax.NamedSharding(mesh, P("batch")))
  step = jax.jit(jax.value_and_grad(functools.partial(loss, shift="tensor"), (0, 1)))
  close(step(laid, alpha), step(x, alpha), rtol=1e-5, atol=1e-5)


def test_checkpoint_around_it():
  """A `jax.checkpoint` of the user's changes nothing."""
  x, alpha = data()
  plain, again = (jax.jit(jax.grad(f, (0, 1)))(x, alpha) for f in (loss, jax.checkpoint(loss)))
  close(plain, again, strict=True)


def test_traced_once():
  """With the same shapes and geometry, neither a jitted caller nor a bare call compiles again."""
  x, alpha = data()
  chex.clear_trace_counter()
  step = jax.jit(chex.assert_max_traces(loss, n=1))
  compiled, counts = [], []
  jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: compiled.append(name))
  try:
    for i in range(3):
      step(x + i, alpha)
      pool(x + i, alpha)
      jax.grad(pool_sum)(x + i, alpha)
      counts.append(len(compiled))
  finally:
    jax.monitoring.clear_event_listeners()
  assert 0 < counts[0] == counts[1] == counts[2]


def pool_sum(x, alpha):
  """A function for gradients without jit."""
  return jnp.sum(pool(x, alpha))


@pytest.mark.parametrize("shift", [None, "window"])
def test_reverse_pass_keeps_x_alpha_and_y(shift, capsys):
  """The forward pass keeps x, alpha and y, and nothing else."""
  x, alpha = jnp.zeros((2, 12, 12, 4)), jnp.ones((2, 6, 6, 4))
  f = functools.partial(polynomial_pool, window_shape=(3, 3), strides=(2, 2), padding="SAME", shift=shift)
  print_saved_residuals(f, x, alpha)
  kept = sorted(line.split()[0] for line in capsys.readouterr().out.splitlines())
  assert kept == ["f32[2,12,12,4]", "f32[2,6,6,4]", "f32[2,6,6,4]"]
  leaves = jax.tree.leaves(jax.vjp(f, x, alpha)[1])
  assert sum(leaf.nbytes for leaf in leaves) <= x.nbytes + 2 * alpha.nbytes


def test_memory_of_the_compiled_reverse_pass():
  """Temporaries are at most 1.5 times x, for forward and backward and for backward alone."""
  x = jnp.ones((2, 56, 56, 64))
  alpha = y = jnp.ones((2, 28, 28, 64))
  f = functools.partial(polynomial_pool, window_shape=(2, 2), strides=(2, 2))
  both = jax.jit(lambda x, a, g: jax.vjp(f, x, a)[1](g)).lower(x, alpha, y)
  back = jax.jit(lambda back, g: back(g)).lower(jax.vjp(f, x, alpha)[1], y)
  for program in both, back:
    assert program.compile().memory_analysis().temp_size_in_bytes <= 1.5 * x.nbytes

"""Gradients of `polynomial_pool`: the formula's exact derivative, finite, in the right dtype."""

import functools

import chex
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from jax.test_util import check_grads

from ppool_jax import polynomial_pool
from tests.helpers import reference as ref

SHIFTS = (None, "window", "channel", "example", "tensor")
GEOMETRIES = {
  "tiles": ((2, 2), (2, 2), "VALID"),
  "padded tiles": ((2, 3), (2, 3), ((1, 0), (0, 2))),
  "overlap": ((3, 2), (2, 1), ((1, 2), (0, 1))),
  "gaps": ((2, 1), (3, 2), "SAME"),
  "large": ((6, 5), (4, 1), ((2, 1), (3, 0))),
  "large tiles": ((6, 5), (6, 5), ((1, 0), (0, 4))),
}


def gradients(x, alpha, cotangent, args, **kwargs):
  """dx and dalpha as NumPy arrays."""

  def run(x, alpha, cotangent):
    return jax.vjp(lambda x, a: polynomial_pool(x, a, *args, **kwargs), x, alpha)[1](cotangent)

  return tuple(np.asarray(z) for z in jax.jit(run)(x, alpha, cotangent))


def test_reference_derivative():
  """The reference's derivative agrees with central differences of the formula, computed with 40 digits."""
  rng = np.random.default_rng(0)
  with mpmath.workdps(40):
    for alpha, b in zip(rng.uniform(0.1, 4, 20), rng.normal(0.7, 1, (20, 4)), strict=True):
      b[0], floor, h = abs(b[0]), 0.125, mpmath.mpf(10) ** -15

      def mean(alpha, *b, floor=floor):
        w = [max(x, floor * max(b)) ** alpha for x in b]
        return mpmath.fdot(w, b) / mpmath.fsum(w)

      point = [mpmath.mpf(z) for z in (alpha, *b)]
      by_b, by_alpha = ref.mean_derivatives(b, alpha, floor)
      for i, derivative in enumerate((by_alpha, *by_b)):
        low, high = ([z + s * h * (j == i) for j, z in enumerate(point)] for s in (-1, 1))
        assert abs((mean(*high) - mean(*low)) / (2 * h) - float(derivative)) < 1e-14


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("shift", SHIFTS)
def test_float64_gradients(geometry, shift):
  """Dx and dalpha to 1e-12, with zeros, ties, negatives, padding, shifts, alpha to inf."""
  rng, args = np.random.default_rng(1), GEOMETRIES[geometry]
  x = rng.integers(-4, 6, (3, 10, 9, 4)) / 4  # with this floor, many elements are equal to floor * m
  x[0] = np.maximum(x[0], 0)
  x[1] += rng.uniform(0, 0.1, x[1].shape)
  alpha = rng.choice([0, 1e-3, 0.5, 2, 35, 1e4, np.inf], ref.out_shape(x.shape, *args))
  cotangent = rng.normal(size=alpha.shape)
  with jax.enable_x64(True):
    dx, dalpha = gradients(x, alpha, cotangent, args, shift=shift, floor=0.25)
  exact = ref.pullback(x, alpha, cotangent, *args, shift=shift, floor=0.25)
  chex.assert_trees_all_close(
    (dx, dalpha), jax.tree.map(np.float64, exact), rtol=1e-12, atol=1e-12, strict=True
  )


SECOND_ORDER = {
  "overlap": ((3,), (2,), ((1, 2),), None),
  "padded tiles, shift by window": ((3,), (3,), ((1, 1),), "window"),
  "overlap, shift by example": ((3,), (2,), ((1, 2),), "example"),
  "large, shift by tensor": ((26,), (7,), ((10, 10),), "tensor"),
}


@pytest.mark.parametrize("case", SECOND_ORDER)
def test_second_order(case):
  """Derivatives of x and alpha to second order, forward and reverse, floored elements included."""
  rng, (*args, shift) = np.random.default_rng(2), SECOND_ORDER[case]
  # Finite differences need points far from kinks: equally spaced elements and a floor such that, shifted or
  # not, none lies within 3e-4 of another, of 0 or of the floor.
  x = (rng.permutation(2 * 13 * 2).reshape(2, 13, 2) - 12.5) / 25
  alpha = rng.uniform(0.2, 3, ref.out_shape(x.shape, *args))
  pool = functools.partial(polynomial_pool, window_shape=args[0], strides=args[1], padding=args[2])
  with jax.enable_x64(True):
    pool = jax.jit(functools.partial(pool, floor=0.04839, shift=shift))
    check_grads(pool, (x, alpha), order=2, modes=("fwd", "rev"), atol=1e-5, rtol=1e-5, eps=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0, 20.0, 110.0, 1e4, 1e30, np.inf])
def test_float32_gradients_are_finite_for_non_negative_input(alpha):
  """For x >= 0 dx is always finite, dalpha for x <= 1e37, over float32's whole range."""
  rng, info = np.random.default_rng(3), np.finfo(np.float32)
  special = [0, info.tiny, 2 * info.tiny, 1e-30, 1, 1 + 2e-7, 2, 1e30, 1e37, info.max / 2, info.max]
  wide = 2.0 ** rng.uniform(-126, 127.99, (2000, 4))
  x = np.float32(np.concatenate([rng.choice(special, (2000, 4)), wide]))[..., None]
  exponents = np.full((len(x), 1, 1), alpha, np.float32)
  dx, dalpha = gradients(x, exponents, np.ones_like(exponents), ((4,),))
  exact_dx, exact_dalpha = ref.pullback(x, exponents, np.ones(exponents.shape), (4,))
  bounded = x.max((1, 2)) <= 1e37
  chex.assert_tree_all_finite({"dx": dx, "dalpha": dalpha[bounded]})
  if alpha > 110:
    return  # alpha * log is rounded to float32: beyond it steep weights are known to no useful precision
  tolerance = 1e-5 * max(1, alpha)
  assert (np.abs(dx - exact_dx) <= tolerance * np.maximum(np.abs(exact_dx).max(1, keepdims=True), 1)).all()
  error = np.abs(dalpha - exact_dalpha)[bounded][:, 0, 0]
  assert (error <= tolerance * x.max((1, 2))[bounded] + 16 * info.tiny).all()  # products may underflow


@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0, 20.0, 110.0, np.inf])
def test_float32_gradients_are_finite_for_mixed_signs(alpha):
  """For any finite x, gradients are finite wherever the true derivative is in the float range."""
  rng, info = np.random.default_rng(4), np.finfo(np.float32)
  special = [0, info.tiny, 1e-30, 1e-15, 1, 2, 1e15, 1e30, info.max / 2, info.max]
  wide = 2.0 ** rng.uniform(-126, 127.99, (3000, 4))
  x = np.concatenate([rng.choice(special, (3000, 4)), wide]) * rng.choice([1, -1], (6000, 4))
  x = np.float32(x)[..., None]
  exponents = np.full((len(x), 1, 1), alpha, np.float32)
  exact_dx, exact_dalpha = ref.pullback(x, exponents, np.ones(exponents.shape), (4,))
  dx, dalpha = gradients(x, exponents, np.ones_like(exponents), ((4,),))
  chex.assert_tree_all_finite(
    {"dx": dx[np.abs(exact_dx) < info.max], "dalpha": dalpha[np.abs(exact_dalpha) < info.max]}
  )


@pytest.mark.parametrize("alpha_dtype", [jnp.float32, jnp.bfloat16, jnp.float64])
@pytest.mark.parametrize("x_dtype", [jnp.float32, jnp.bfloat16, jnp.float16, jnp.float64])
def test_dtypes(x_dtype, alpha_dtype):
  """The contract: y and dx have x's dtype, dalpha has alpha's, whatever the other's; the values are right."""
  rng = np.random.default_rng(5)
  with jax.enable_x64(True):
    x = jnp.asarray(rng.uniform(0, 1, (2, 4, 4, 2)), x_dtype)
    alpha = jnp.asarray(rng.uniform(0, 4, (2, 2, 2, 2)), alpha_dtype)
    y, back = jax.vjp(lambda x, a: polynomial_pool(x, a, (2, 2), (2, 2)), x, alpha)
    dx, dalpha = back(jnp.ones_like(y))
    chex.assert_type([y, dx, dalpha], [x_dtype, x_dtype, alpha_dtype])
    exact = ref.pullback(np.float64(x), np.float64(alpha), np.ones(y.shape), (2, 2), (2, 2))
    for ours, true in zip((dx, dalpha), exact, strict=True):
      eps = float(max(jnp.finfo(ours.dtype).eps, jnp.finfo(x_dtype).eps))
      chex.assert_trees_all_close(np.float64(ours), np.float64(true), atol=4 * eps, rtol=4 * eps, strict=True)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (4, 3), (2, 1, 1, 1), (1, 4, 1, 3)])
def test_gradient_of_a_broadcast_alpha(shape):
  """The contract: alpha broadcasts to the output, and its gradient is the sum of the full one."""
  rng = np.random.default_rng(6)
  x = np.float32(rng.uniform(0, 1, (2, 8, 8, 3)))
  alpha = np.float32(rng.uniform(0, 4, shape))
  cotangent = np.float32(rng.normal(size=(2, 4, 4, 3)))
  args = (2, 2), (2, 2)
  dx, dalpha = gradients(x, alpha, cotangent, args)
  full_dx, full = gradients(x, np.broadcast_to(alpha, cotangent.shape), cotangent, args)
  lead = full.ndim - len(shape)
  axes = (*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1))
  summed = full.sum(axes).reshape(shape)
  chex.assert_trees_all_close((dx, dalpha), (full_dx, summed), rtol=1e-5, atol=1e-6, strict=True)


def test_homogeneous_gradient():
  """Euler's rule for degree 1: sum_i x_i dy/dx_i = y, for any alpha and any window."""
  rng = np.random.default_rng(7)
  x = np.float32(rng.normal(0.5, 1, (5000, 5, 1)))
  alpha = np.float32(rng.choice([0, 0.1, 2, 35, np.inf], (5000, 1, 1)))
  dx, _ = gradients(x, alpha, np.ones_like(alpha), ((5,),))
  y = polynomial_pool(x, alpha, (5,))
  scale = np.abs(x).max() * (1 + np.abs(dx).max((1, 2)))
  assert (np.abs((x * dx).sum((1, 2)) - np.ravel(y)) <= 1e-5 * scale).all()

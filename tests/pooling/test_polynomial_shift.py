"""Which elements `polynomial_pool` reads: homogeneity, padding, and the scopes of the shift."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppool_jax import polynomial_pool
from tests.helpers import reference as ref

SCOPES = ("window", "channel", "example", "tensor")
ARGS = (3, 2), (2, 1), ((1, 2), (0, 1))


def test_homogeneous_over_the_exponent_range():
  """The contract: scaling x by a power of two scales y, to one rounding, wherever both are normal."""
  rng = np.random.default_rng(0)
  x = np.float32(rng.uniform(0.5, 1, (400, 4)) * 2.0 ** rng.integers(-9, 1, (400, 4)))
  x *= rng.choice(np.float32([0, 1, 1, 1]), x.shape)
  alpha = np.float32(rng.choice([0, 0.01, 1, 7, 35, 110, np.inf], (400, 1, 1)))
  pool = jax.jit(lambda x: polynomial_pool(x, alpha, (4,)))
  scales = np.float32(2.0) ** np.arange(-115, 128, 3, dtype=np.float32)
  y = np.stack([np.float64(pool((x * scale)[..., None])[:, 0, 0]) / scale for scale in scales])
  plain = np.float64(pool(x[..., None])[:, 0, 0])
  assert (np.abs(y - plain) <= np.spacing(np.float32(plain))).all()


def test_padding_is_in_no_window():
  """Windows at the border hold fewer elements: each equals the pooling of those elements by themselves."""
  rng = np.random.default_rng(1)
  x = np.float32(rng.normal(size=(2, 5, 4, 3)) - 1)  # mostly negative: a padded zero would be the maximum
  shape = ref.out_shape(x.shape, *ARGS)
  alpha = np.float32(rng.choice([0, 0.7, 5, np.inf], shape))
  y = np.asarray(jax.jit(lambda x: polynomial_pool(x, alpha, *ARGS))(x))
  for place, slices in ref.places(x.shape[1:3], *ARGS):
    at, part = (slice(None), *place, slice(None)), x[:, *slices]
    alone = ref.pool(part, alpha[at][:, None, None], part.shape[1:3])[:, 0, 0]
    chex.assert_trees_all_close(y[at], np.float64(alone), rtol=2e-6, atol=2e-6)


def test_padding_stays_out_of_the_shift():
  """Padding never counts, neither in a window nor in the smallest element."""
  x = np.float32([[[-4.0], [-3.0], [-2.0]]])
  y = polynomial_pool(x, 0.0, (3,), (1,), ((2, 2),), shift="window")
  np.testing.assert_allclose(np.ravel(y), [-4, -3.5, -3, -2.5, -2], rtol=1e-6)
  y = polynomial_pool(np.abs(x), 2.0, (3,), (1,), ((2, 2),), shift="window")
  np.testing.assert_allclose(np.ravel(y), [4, 91 / 25, 99 / 29, 35 / 13, 2], rtol=1e-6)


@pytest.mark.parametrize("shift", SCOPES)
def test_shifted_values(shift):
  """Y = f(R - s) + s with s = min(0, smallest x of the scope), within 2e-6 of the largest |x|."""
  rng = np.random.default_rng(2)
  x = np.float32(rng.normal(size=(3, 17, 16, 4)))
  x[0] = np.maximum(x[0], 0)
  alpha = np.float32(rng.choice([0, 0.5, 3, 20, 35, np.inf], ref.out_shape(x.shape, *ARGS)))
  y = np.asarray(jax.jit(lambda x: polynomial_pool(x, alpha, *ARGS, shift=shift))(x))
  exact = ref.pool(x, alpha, *ARGS, shift=shift)
  chex.assert_equal_shape([y, exact, alpha])
  top = np.zeros(y.shape)
  for place, slices in ref.places(x.shape[1:3], *ARGS):
    top[:, *place] = np.abs(x[:, *slices]).max((1, 2))
  assert (np.abs(y - exact) <= 2e-6 * top).all()


@pytest.mark.parametrize("shift", SCOPES)
def test_shift_leaves_non_negative_input_alone(shift):
  """With no negative element the shift changes no bit of y, and no gradient."""
  rng = np.random.default_rng(3)
  x = np.maximum(np.float32(rng.normal(size=(2, 5, 4, 3))), 0)
  alpha = np.float32(rng.uniform(0, 30, ref.out_shape(x.shape, *ARGS)))

  def run(scope):
    y, back = jax.vjp(jax.jit(lambda x, a: polynomial_pool(x, a, *ARGS, shift=scope)), x, alpha)
    return [np.asarray(z) for z in (y, *back(jnp.ones_like(y)))]

  shifted, plain = run(shift), run(None)
  chex.assert_trees_all_equal(shifted[0], plain[0], strict=True)
  chex.assert_trees_all_close(shifted[1:], plain[1:], rtol=1e-6, atol=1e-6, strict=True)


@pytest.mark.parametrize("shift", SCOPES)
def test_scope_is_what_an_output_depends_on(shift):
  """A new smallest element changes y in its scope only; only "tensor" spans the batch."""
  rng = np.random.default_rng(4)
  x = np.float32(rng.normal(size=(2, 5, 4, 3)))
  other = x.copy()
  other[1, 0, 0, 2] = -50
  pool = jax.jit(lambda x: polynomial_pool(x, 2.0, *ARGS, shift=shift))
  changed = np.any(np.asarray(pool(x)) != np.asarray(pool(other)), (1, 2))
  alone = [[False] * 3, [False, False, True]]
  expected = {
    "window": alone,
    "channel": alone,
    "example": [[False] * 3, [True] * 3],
    "tensor": [[True] * 3] * 2,
  }
  np.testing.assert_array_equal(changed, expected[shift])
  if shift == "window":
    holds = np.zeros((2, *pool(x).shape[1:3], 3), bool)
    for place, slices in ref.places((5, 4), *ARGS):
      holds[1, *place, 2] = slices[0].start == 0 and slices[1].start == 0
    np.testing.assert_array_equal(np.asarray(pool(x)) != np.asarray(pool(other)), holds)


def test_scopes_without_batch_axes():
  """Without batch axes "example" is the whole array and "channel" each channel of it."""
  x = np.float32(np.random.default_rng(5).normal(size=(6, 5, 3)))
  for shift in SCOPES:
    alone = np.asarray(polynomial_pool(x, 1.5, *ARGS, shift=shift))
    batched = np.asarray(polynomial_pool(x[None], 1.5, *ARGS, shift=shift))[0]
    chex.assert_trees_all_close(alone, batched, rtol=1e-6, atol=1e-6, strict=True)

"""Values of the baseline poolings, against formulas in NumPy, other libraries and the original codes."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from jax import lax

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
from tests.helpers import reference as ref

SYMMETRIC = [(1, 1), (1, 1)]
NHWC = ("NHWC", "HWIO", "NHWC")


def elements(x, window, strides=None, padding="VALID"):
  """Elements of all windows in order, `[..., *out, channels, n]`, NaN in the place of padding."""
  n, lead = len(window), x.ndim - len(window) - 1
  steps = strides or (1,) * n
  pads = ref.paddings(x.shape[lead:-1], window, steps, padding)
  x = np.pad(x, [(0, 0)] * lead + pads + [(0, 0)], constant_values=np.nan)
  views = np.lib.stride_tricks.sliding_window_view(x, window, tuple(range(lead, lead + n)))
  views = views[(slice(None),) * lead + tuple(slice(None, None, s) for s in steps)]
  return views.reshape(*views.shape[:-n], -1)


def soft(r):
  """SoftPool of windows `[..., n]`."""
  w = np.exp(r)
  return np.nansum(w * r, -1) / np.nansum(w, -1)


def mixed(r, mix):
  """Mixed max-average pooling of windows."""
  return mix * np.nanmax(r, -1) + (1 - mix) * np.nanmean(r, -1)


def gated(r, mask):
  """Gated pooling for a mask `[*window]` or `[*window, channels]`."""
  mask = mask.ravel() if mask.size == r.shape[-1] else mask.reshape(r.shape[-1], -1).T
  return mixed(r, 1 / (1 + np.exp(-np.nansum(mask * r, -1))))


def dpp(r, z, variant):
  """Detail-preserving pooling of windows, the "lite" variants and "asym_raw"."""
  alpha, lam = z["alpha"][:, None], z["lam"][:, None]
  d = r - np.nanmean(r, -1, keepdims=True)
  reward = (np.maximum(d, 0) if variant.startswith("asym") else d) ** 2 + 1e-3
  ratio = reward / np.nanmean(reward, -1, keepdims=True)
  w = ratio**lam + alpha if variant == "asym_raw" else ratio ** (np.exp(lam) / 2) + np.exp(alpha)
  return np.nansum(w * r, -1) / np.nansum(w, -1)


def _dpp(variant):
  def pool(x, args, z):
    return detail_preserving_pool(x, z["alpha"], z["lam"], *args, variant=variant)

  return pool, lambda r, z: dpp(r, z, variant)


# The library's pooling of x with parameters z, and the formula for its windows.
POOLS = {
  "max": (lambda x, args, z: max_pool(x, *args), lambda r, z: np.nanmax(r, -1)),
  "avg": (lambda x, args, z: avg_pool(x, *args), lambda r, z: np.nanmean(r, -1)),
  "lp": (
    lambda x, args, z: lp_pool(x, z["p"], *args),
    lambda r, z: np.nansum(np.abs(r) ** z["p"][:, None], -1) ** (1 / z["p"]),
  ),
  "soft": (lambda x, args, z: soft_pool(x, *args), lambda r, z: soft(r)),
  "mixed": (lambda x, args, z: mixed_pool(x, z["mix"], *args), lambda r, z: mixed(r, z["mix"])),
  "gated": (lambda x, args, z: gated_pool(x, z["mask"], *args), lambda r, z: gated(r, z["mask"])),
  "gated by channel": (
    lambda x, args, z: gated_pool(x, z["kernel"], *args),
    lambda r, z: gated(r, z["kernel"]),
  ),
  "depthwise": (
    lambda x, args, z: depthwise_conv(x, z["kernel"], *args[1:]),
    lambda r, z: np.nansum(z["kernel"].reshape(r.shape[-1], -1).T * r, -1),
  ),
  "depthwise, one kernel": (
    lambda x, args, z: depthwise_conv(x, z["mask"][..., None], *args[1:]),
    lambda r, z: np.nansum(z["mask"].ravel() * r, -1),
  ),
  **{f"dpp {variant}": _dpp(variant) for variant in ("sym_lite", "asym_lite", "asym_raw")},
}


def parameters(rng, window, channels=2):
  """Parameters of every pooling: z of `POOLS`."""
  per_channel = {"p": (1, 6), "mix": (-0.5, 1.5), "alpha": (0, 2), "lam": (-1, 1)}
  z = {name: rng.uniform(*bounds, channels) for name, bounds in per_channel.items()}
  return z | {"mask": rng.normal(size=window), "kernel": rng.normal(size=(*window, channels))}


@pytest.mark.parametrize("name", POOLS)
@settings(max_examples=20)
@given(case=ref.cases(), seed=st.integers(0, 999))
def test_formula_over_any_geometry(name, case, seed):
  """Every pooling equals its formula to 1e-12 in float64 for any geometry; padding is in no window."""
  rng, (pool, formula) = np.random.default_rng(seed), POOLS[name]
  x, z = rng.normal(size=case.shape), parameters(rng, case.window)
  with jax.enable_x64(True):
    y = jax.jit(lambda x, z: pool(x, case.args, z))(x, z)
  chex.assert_type(y, np.float64)
  chex.assert_shape(y, ref.out_shape(case.shape, *case.args))
  chex.assert_trees_all_close(y, formula(elements(x, *case.args), z), rtol=1e-12, atol=1e-12, strict=True)


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_dtypes(name, dtype):
  """The result has x's dtype; 16-bit input is computed in float32 and rounded once."""
  rng, args = np.random.default_rng(0), ((3, 2), (2, 1), ((1, 2), (0, 1)))
  z = {k: np.float32(v) for k, v in parameters(rng, args[0]).items()}
  x = jnp.asarray(rng.normal(size=(2, 7, 6, 2)), dtype)
  y = jax.jit(lambda x: POOLS[name][0](x, args, z))(x)
  chex.assert_type(y, dtype)
  exact = POOLS[name][1](elements(np.float64(x), *args), {k: np.float64(v) for k, v in z.items()})
  rounding = 0 if dtype == jnp.float32 else 0.501 * float(jnp.finfo(dtype).eps)
  assert (np.abs(np.float64(y) - exact) <= rounding * np.abs(exact) + 2e-6 * (1 + np.abs(exact))).all()


@settings(max_examples=15)
@given(case=ref.cases())
def test_max_and_avg_against_flax(case):
  """max_pool and avg_pool (count_include_pad=False) equal Flax's for the same arguments."""
  x = np.float32(np.random.default_rng(1).normal(size=case.shape))
  images = x.reshape(-1, *x.shape[-len(case.window) - 1 :])  # Flax refuses padding pairs for two batch axes
  expected = nn.max_pool(images, *case.args)
  chex.assert_trees_all_equal(max_pool(x, *case.args).reshape(expected.shape), expected, strict=True)
  expected = nn.avg_pool(images, *case.args, count_include_pad=False)
  y = avg_pool(x, *case.args).reshape(expected.shape)
  chex.assert_trees_all_close(y, expected, rtol=1e-6, atol=1e-6, strict=True)


def test_lp_at_its_ends():
  """p = 1 sums |x| (the sum for x >= 0, not the mean); p = inf is max |x| exactly; dy/dx = (|x|/y)^(p-1)."""
  x = np.float32(np.random.default_rng(2).normal(size=(3, 6, 7, 2)))
  args = ((3, 2), (2, 2), ((1, 1), (0, 1)))
  r = np.abs(elements(x, *args))
  chex.assert_trees_all_close(lp_pool(x, 1, *args), np.nansum(r, -1), rtol=1e-6, strict=True)
  chex.assert_trees_all_equal(lp_pool(x, np.inf, *args), np.nanmax(r, -1), strict=True)
  tile = x[0, :2, :2]
  dx = jax.grad(lambda x: lp_pool(x, 3.5, (2, 2)).sum())(tile)
  y = (np.abs(tile) ** 3.5).sum((0, 1)) ** (1 / 3.5)
  chex.assert_trees_all_close(dx, np.sign(tile) * (np.abs(tile) / y) ** 2.5, rtol=1e-5, strict=True)


def test_mixed_and_gated_at_their_ends():
  """With mix 0 and 1, and with masks that saturate the gate, the result is average and max pooling."""
  x = np.float32(np.random.default_rng(3).uniform(0.5, 1, (2, 5, 6, 3)))
  args = ((2, 3), (2, 2), "SAME")
  for end, pool in ((0, avg_pool), (1, max_pool)):
    mask = jnp.full((2, 3), 1e4 * (2 * end - 1))
    for y in (mixed_pool(x, end, *args), gated_pool(x, mask, *args)):
      chex.assert_trees_all_close(y, pool(x, *args), rtol=2e-7, strict=True)


def test_soft_pool_gradient_is_that_of_its_formula():
  """The gradient is w_i (1 + x_i - y), where the authors' operator has w_i."""
  x = jnp.array([0.5, 1, 2, 4])[:, None]
  dx = jax.grad(lambda x: soft_pool(x, (4,)).sum())(x)[:, 0]
  np.testing.assert_allclose(dx, [-0.051, -0.064, -0.063, 1.179], atol=5e-4)


def original_dpp(image, alpha, lam, asym=False, local=None):
  """DPP as in the original code for 2x2 windows of stride 2: averages and nearest upsampling."""
  n, h, w, c = image.shape
  average = lambda z: z.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))  # noqa: E731
  upsample = lambda z: z.repeat(2, 1).repeat(2, 2)  # noqa: E731
  d = image - upsample(average(image) if local is None else local)
  r = (np.maximum(d, 0) if asym else d) ** 2 + 1e-3
  weight = (r / upsample(average(r))) ** (np.exp(lam) / 2) + np.exp(alpha)
  return average(image * weight) / average(weight)


@pytest.mark.parametrize("variant", ["sym_lite", "asym_lite", "sym_full", "asym_full"])
def test_dpp_is_the_original(variant):
  """DPP of 2x2 windows of stride 2 equals the original code; "full" with its 3x3 convolution of x."""
  rng, kernel, local = np.random.default_rng(4), None, None
  x, alpha, lam = rng.normal(size=(2, 6, 8, 3)), rng.normal(size=3), rng.normal(size=3)
  if variant.endswith("full"):
    kernel = rng.normal(size=(3, 3, 3))
    wide = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    local = sum(kernel[i, j] * wide[:, i : i + 6 : 2, j : j + 8 : 2] for i in range(3) for j in range(3))
  with jax.enable_x64(True):
    y = detail_preserving_pool(x, alpha, lam, (2, 2), (2, 2), variant=variant, kernel=kernel)
  expected = original_dpp(x, alpha, lam, asym=variant.startswith("asym"), local=local)
  chex.assert_trees_all_close(y, expected, rtol=1e-12, strict=True)


def test_dpp_where_it_is_the_average():
  """asym_raw with zero parameters, and any symmetric DPP of two elements, are average pooling."""
  x = np.float32(np.random.default_rng(5).normal(size=(2, 7, 6, 3)))
  args = ((3, 2), (2, 2), "SAME")
  y = detail_preserving_pool(x, 0.0, 0.0, *args, variant="asym_raw")
  chex.assert_trees_all_close(y, avg_pool(x, *args), rtol=1e-5, atol=1e-6, strict=True)
  for args in (((2, 1), (2, 1)), ((1, 2), None)):
    y = detail_preserving_pool(x, -3.0, 1.5, *args)
    chex.assert_trees_all_close(y, avg_pool(x, *args), rtol=1e-5, atol=1e-6, strict=True)


@pytest.mark.parametrize("size", [(7, 9), (8, 6)])
def test_strided_pool_is_a_strided_convolution(size):
  """A padded stride-1 convolution, subsampled, is the same convolution strided; XLA's SAME is not."""
  rng = np.random.default_rng(6)
  x, kernel = rng.normal(size=(2, *size, 3)), rng.normal(size=(3, 3, 3, 4))
  with jax.enable_x64(True):
    dense = lax.conv_general_dilated(x, kernel, (1, 1), SYMMETRIC, dimension_numbers=NHWC)
    strided = lax.conv_general_dilated(x, kernel, (2, 2), SYMMETRIC, dimension_numbers=NHWC)
    same = lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=NHWC)
    y = strided_pool(dense, (2, 2))
  chex.assert_trees_all_close(y, strided, rtol=1e-12, strict=True)
  chex.assert_trees_all_equal(strided_pool(dense, (1, 1)), dense, strict=True)
  chex.assert_equal_shape([y, same])
  # Of an even size SAME pads the far side alone: every window lies one element further on.
  assert np.allclose(y, same) == (size[0] % 2 == 1)
  if size[0] % 2 == 0:
    chex.assert_trees_all_close(np.asarray(dense)[:, 1::2, 1::2], same, rtol=1e-12, strict=True)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (2, 3)])
def test_conv_pool_against_flax(strides):
  """conv_pool equals Flax's convolution with symmetric padding and ReLU, for any batch axes."""
  x = jax.random.normal(jax.random.key(7), (2, 2, 7, 6, 3))
  conv = nn.Conv(5, (3, 3), strides, SYMMETRIC, bias_init=nn.initializers.normal(1.0))
  expected, variables = conv.init_with_output(jax.random.key(8), x)
  y = conv_pool(x, variables["params"]["kernel"], variables["params"]["bias"], strides)
  chex.assert_trees_all_close(y, nn.relu(expected), rtol=1e-5, atol=1e-5, strict=True)
  one = conv_pool(x[0, 0], variables["params"]["kernel"], variables["params"]["bias"], strides)
  chex.assert_trees_all_close(one, y[0, 0], rtol=1e-5, atol=1e-5, strict=True)


@pytest.mark.parametrize("dilation", [None, (2, 3)])
@pytest.mark.parametrize("args", [((1, 1), "SAME"), ((2, 2), ((1, 2), (0, 1))), ((3, 2), "VALID")])
def test_depthwise_against_lax(args, dilation):
  """`depthwise_conv` is XLA's convolution with one group for each channel, and has its gradients."""
  rng, (strides, padding) = np.random.default_rng(9), args
  x, kernel = np.float32(rng.normal(size=(2, 7, 8, 5))), np.float32(rng.normal(size=(3, 2, 5)))

  def grouped(x, kernel):
    return lax.conv_general_dilated(
      x, kernel[:, :, None], strides, padding, rhs_dilation=dilation, dimension_numbers=NHWC,
      feature_group_count=5,
    )  # fmt: skip

  shifted = functools.partial(depthwise_conv, strides=strides, padding=padding, dilation=dilation)
  (y, back), (expected, expected_back) = (jax.vjp(f, x, kernel) for f in (shifted, grouped))
  found, expected = (y, back(jnp.sin(y))), (expected, expected_back(jnp.sin(y)))
  chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-5, strict=True)


@pytest.mark.parametrize(("window", "strides"), [((3, 3), (1, 1)), ((2, 2), (2, 2)), ((6, 6), (6, 6))])
def test_depthwise_computes_in_the_asked_dtype(window, strides):
  """With 16-bit x, nothing is rounded before the result, and no term of dx before their sum."""
  rng = np.random.default_rng(10)
  x, kernel = rng.normal(size=(2, 12, 12, 3)).astype(jnp.bfloat16), np.float32(rng.normal(size=(*window, 3)))

  def both(x):
    y, back = jax.vjp(lambda x: depthwise_conv(x, kernel, strides, dtype=jnp.float32), x)
    return y, *back(jnp.sin(y))

  (y, dx), (expected, expected_dx) = both(x), both(np.float32(x))
  chex.assert_trees_all_close(y, expected, rtol=1e-6, atol=1e-6, strict=True)
  chex.assert_type([dx, depthwise_conv(x, kernel, strides)], x.dtype)
  chex.assert_trees_all_equal(dx, expected_dx.astype(x.dtype), strict=True)

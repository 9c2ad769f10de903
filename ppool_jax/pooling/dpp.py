"""Detail-preserving pooling, DPP (Saeedan et al., CVPR 2018; github visinf/dpp), per window."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from ppool_jax.pooling.average import window_mean
from ppool_jax.pooling.custom_jvp import run_pool
from ppool_jax.pooling.depthwise import depthwise_conv
from ppool_jax.pooling.dispatch import resolve_windows
from ppool_jax.pooling.geometry import Padding
from ppool_jax.pooling.validation import as_floating, as_parameter

VARIANTS = ("sym_lite", "asym_lite", "sym_full", "asym_full", "asym_raw")
# The reward's constant in the original code.
_EPSILON = 1e-3


def detail_preserving_pool(
  x: ArrayLike,
  alpha: ArrayLike,
  lam: ArrayLike,
  window_shape: Sequence[int],
  strides: Sequence[int] | None = None,
  padding: Padding = "VALID",
  *,
  variant: str = "sym_lite",
  kernel: ArrayLike | None = None,
) -> jax.Array:
  """DPP: y = sum_i w_i x_i / sum_i w_i, where elements that differ from their surroundings weigh more.

      r_i = (x_i - I)^2 + 1e-3          (asym: 1e-3 where x_i < I)
      w_i = (r_i / mean r)^(exp(lam) / 2) + exp(alpha)

  I is the window's mean ("lite") or a learned 3x3 depthwise convolution of x ("full"), and "mean r" is over
  the window. For 2x2 windows of stride 2 this is the original; it is defined for any other windows too.
  "asym_raw" is the variant in the P-pooling authors' code, w_i = (r_i / mean r)^lam + alpha. It starts as
  average pooling at lam = alpha = 0; its weights may cancel where alpha < 0.

  Args:
    x, window_shape, strides, padding: as in `max_pool`; x may be negative.
    alpha, lam: numbers or arrays that broadcast to the output; the original has one for each channel.
    variant: one of `VARIANTS`.
    kernel: `[*(3,) * spatial axes, channels]` for the "full" variants, None for the others.

  Returns:
    `[..., *out, channels]` in x's dtype.

  Raises:
    TypeError, ValueError: as `max_pool`; also a bad `alpha`, `lam`, `variant` or `kernel`.
  """
  x = as_floating("x", x)
  win = resolve_windows(x.shape, window_shape, strides, padding)
  if variant not in VARIANTS:
    raise ValueError(f"variant: expected one of {VARIANTS}, got {variant!r}")
  full = variant.endswith("full")
  expected = (*(3 for _ in win.window), x.shape[-1]) if full else None
  shape = None if kernel is None else jnp.shape(kernel)
  if shape != expected:
    what = f"shape {expected}" if expected else "no kernel"
    raise ValueError(f"kernel: expected {what} for variant {variant!r}, got {shape}")
  alpha = as_parameter("alpha", alpha, win.out_shape(x.shape))
  lam = as_parameter("lam", lam, win.out_shape(x.shape))

  local = (_linear_downscale(win, x, kernel),) if full else ()
  return run_pool(_POOLS[variant], win, x, alpha, lam, *local)


def _pool(variant, win, inputs, alpha, lam, local=None):
  if variant == "asym_raw":
    power, bias = lam, alpha
  else:
    power, bias = jnp.exp(lam) / 2, jnp.exp(alpha)
  around = window_mean(win, inputs) if local is None else local
  power, bias = jnp.broadcast_to(power, around.shape), jnp.broadcast_to(bias, around.shape)
  return _weighted_mean(win, inputs, around, power, bias, one_sided=variant.startswith("asym"))


_POOLS = {variant: functools.partial(_pool, variant) for variant in VARIANTS}


def _weighted_mean(win, inputs, around, power, bias, one_sided):
  elements = win.window_view(inputs)
  deviations = win.fill_window_view([x - win.to_window(around) for x in elements], 0.0)
  if one_sided:
    deviations = [jax.nn.relu(d) for d in deviations]
  logs = [win.to_window(power) * log for log in _log_ratios(win, deviations)]
  # Large powers would overflow: weights are taken relative to the largest, which cancels.
  top = lax.stop_gradient(jnp.maximum(win.reduce(jnp.maximum, win.fill_window_view(logs, 0.0)), 0.0))
  weights = [jnp.exp(log - win.to_window(top)) + win.to_window(bias * jnp.exp(-top)) for log in logs]
  weights = win.fill_window_view(weights, 0.0)
  total = win.sum(weights)
  return win.sum([w / win.to_window(total) * x for w, x in zip(weights, elements, strict=True)])


def _log_ratios(win, deviations):
  """log(r / mean r), without squares that overflow."""
  logs = [_log_reward(d) for d in deviations]
  top = lax.stop_gradient(win.reduce(jnp.maximum, logs))
  shares = win.fill_window_view([jnp.exp(log - win.to_window(top)) for log in logs], 0.0)
  log_mean = win.to_window(top + jnp.log(win.sum(shares) / win.counts()))
  return [log - log_mean for log in logs]


@jax.custom_jvp
def _log_reward(d):
  """log(d^2 + 1e-3) for every d, with a derivative that neither overflows nor underflows."""
  size, root = jnp.abs(d), _EPSILON**0.5
  larger, smaller = jnp.maximum(size, root), jnp.minimum(size, root)
  return 2 * jnp.log(larger) + jnp.log1p((smaller / larger) ** 2)


@_log_reward.defjvp
def _log_reward_jvp(primals, tangents):
  (d,), (dd,) = primals, tangents
  small = jnp.abs(d) < 1
  for_small = jnp.where(small, d, 0.0) / (jnp.where(small, d, 0.0) ** 2 + _EPSILON)
  for_large = 1 / (jnp.where(small, 1.0, d) + _EPSILON / jnp.where(small, 1.0, d))
  return _log_reward(d), 2 * jnp.where(small, for_small, for_large) * dd


def _linear_downscale(win, x, kernel):
  """The I of the "full" variants: a 3x3 depthwise convolution with the pool's strides, padded by 1."""
  local = depthwise_conv(x, kernel, win.strides, tuple((1, 1) for _ in win.window))
  have = local.shape[-len(win.out) - 1 : -1]
  if any(n > m for n, m in zip(win.out, have, strict=True)):
    raise ValueError(
      f"variant: sym_full and asym_full expect a pool with at most {have} outputs, as many as a 3x3 "
      f"convolution with its strides has, got {win.out}"
    )
  return local[(..., *(slice(0, n) for n in win.out), slice(None))]

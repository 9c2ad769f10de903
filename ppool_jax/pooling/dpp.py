"""Detail-preserving pooling, DPP (Saeedan et al., CVPR 2018; github visinf/dpp), per window."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from ppool_jax.pooling.average import window_mean
from ppool_jax.pooling.custom_jvp import apply
from ppool_jax.pooling.depthwise import depthwise
from ppool_jax.pooling.max import valid_elements
from ppool_jax.pooling.validation import floating, parameter
from ppool_jax.pooling.windows import windows

VARIANTS = ("sym_lite", "asym_lite", "sym_full", "asym_full", "asym_raw")
# The reward's constant in the original code.
_EPSILON = 1e-3


def detail_preserving_pool(
  x, alpha, lam, window_shape, strides=None, padding="VALID", *, variant="sym_lite", kernel=None
) -> jax.Array:
  """DPP: y = sum_i w_i x_i / sum_i w_i; elements that differ from their surroundings weigh more.

      r_i = (x_i - I)^2 + 1e-3          (asym: only where x_i > I)
      w_i = (r_i / mean r)^(exp(lam) / 2) + exp(alpha)

  with I the window's mean ("lite") or a learned 3x3 depthwise convolution of x ("full"), and means
  over the window; for 2x2 windows of stride 2 exactly the original, defined for any other. "asym_raw"
  is the variant in the P-pooling authors' code, w_i = (r_i / mean r)^lam + alpha, which starts as
  average pooling at lam = alpha = 0; its weights may cancel where alpha < 0.

  Args:
    x: `[..., *spatial, channels]`, floating, any sign.
    alpha, lam: numbers or arrays that broadcast to the output; the original has one for each channel.
    window_shape, strides, padding: as of `max_pool`.
    variant: one of `VARIANTS`.
    kernel: `[*(3,) * spatial axes, channels]` for the "full" variants, None for the others.

  Returns:
    `[..., *out, channels]` in x's dtype.

  Raises:
    TypeError, ValueError: for bad arguments, with the argument, its value and what was expected.
  """
  x = floating("x", x)
  win = windows(x.shape, window_shape, strides, padding)
  if variant not in VARIANTS:
    raise ValueError(f"variant: expected one of {VARIANTS}, got {variant!r}")
  full = variant.endswith("full")
  expected = (*(3 for _ in win.window), x.shape[-1]) if full else None
  shape = None if kernel is None else jnp.shape(kernel)
  if shape != expected:
    raise ValueError(f"kernel: expected shape {expected} for variant {variant!r}, got {shape}")
  alpha = parameter("alpha", alpha, win.out_shape(x.shape))
  lam = parameter("lam", lam, win.out_shape(x.shape))

  local = (_linear_downscale(win, x, kernel),) if full else ()
  return apply(_POOLS[variant], win, x, alpha, lam, *local)


def _pool(variant, win, members, alpha, lam, local=None):
  if variant == "asym_raw":
    power, bias = lam, alpha
  else:
    power, bias = jnp.exp(lam) / 2, jnp.exp(alpha)
  around = window_mean(win, members) if local is None else local
  power, bias = jnp.broadcast_to(power, around.shape), jnp.broadcast_to(bias, around.shape)
  return _weighted_mean(win, members, around, power, bias, one_sided=variant.startswith("asym"))


_POOLS = {variant: functools.partial(_pool, variant) for variant in VARIANTS}


def _weighted_mean(win, members, around, power, bias, one_sided):
  elements = win.elements(members)
  deviations = _masked(win, [x - win.expand(around) for x in elements], 0.0)
  if one_sided:
    deviations = [jax.nn.relu(d) for d in deviations]
  logs = [win.expand(power) * log for log in _log_ratios(win, deviations)]
  # Large powers would overflow: weights are taken relative to the largest, which cancels.
  top = lax.stop_gradient(jnp.maximum(win.reduce(jnp.maximum, _masked(win, logs, 0.0)), 0.0))
  weights = [jnp.exp(log - win.expand(top)) + win.expand(bias * jnp.exp(-top)) for log in logs]
  weights = _masked(win, weights, 0.0)
  total = win.sum(weights)
  return win.sum([w / win.expand(total) * x for w, x in zip(weights, elements, strict=True)])


def _log_ratios(win, deviations):
  """log(r / mean r), without squares that overflow."""
  logs = [_log_reward(d) for d in deviations]
  top = lax.stop_gradient(win.reduce(jnp.maximum, logs))
  shares = _masked(win, [jnp.exp(log - win.expand(top)) for log in logs], 0.0)
  log_mean = win.expand(top + jnp.log(win.sum(shares) / win.counts()))
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


def _masked(win, elements, fill):
  valid = valid_elements(win)
  if valid is None:
    return elements
  return [jnp.where(v, x, fill) for v, x in zip(valid, elements, strict=True)]


def _linear_downscale(win, x, kernel):
  """The "full" variants' I: a 3x3 depthwise convolution with the pool's strides, padded by 1."""
  local = depthwise(x, kernel, win.strides, tuple((1, 1) for _ in win.window))
  have = local.shape[-len(win.out) - 1 : -1]
  if any(n > m for n, m in zip(win.out, have, strict=True)):
    raise ValueError(
      f"variant: the full ones are not defined where a pool has more outputs, {win.out}, than a 3x3 "
      f"convolution with its strides, {have}"
    )
  return local[(..., *(slice(0, n) for n in win.out), slice(None))]

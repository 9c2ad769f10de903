"""Mixed and gated max-average pooling (Lee, Gallagher, Tu, AISTATS 2016)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ppool_jax.pooling.average import window_mean
from ppool_jax.pooling.custom_jvp import apply
from ppool_jax.pooling.max import window_max
from ppool_jax.pooling.validation import floating, parameter
from ppool_jax.pooling.windows import windows

# Products beyond this saturate the gate whatever the others are; sums of them stay finite.
_SATURATED = 1e30


def mixed_pool(x, mix, window_shape, strides=None, padding="VALID") -> jax.Array:
  """Mixed max-average pooling: y = mix * max + (1 - mix) * average.

  Args:
    x: `[..., *spatial, channels]`, floating.
    mix: share of max pooling, a number or an array that broadcasts to the output; not restricted to
      [0, 1], as in the paper.
    window_shape, strides, padding: as of `max_pool`.

  Returns:
    `[..., *out, channels]` in x's dtype.

  Raises:
    TypeError, ValueError: for bad arguments, with the argument, its value and what was expected.
  """
  x = floating("x", x)
  win = windows(x.shape, window_shape, strides, padding)
  return apply(_mix, win, x, parameter("mix", mix, win.out_shape(x.shape)))


def gated_pool(x, mask, window_shape, strides=None, padding="VALID") -> jax.Array:
  """Gated max-average pooling: y = s * max + (1 - s) * average with s = sigmoid(sum_i mask_i x_i).

  Args:
    x: `[..., *spatial, channels]`, floating.
    mask: the gating mask, `[*window]` for one in the layer (the paper's "gated, layer-wise") or
      `[*window, channels]` for one in each channel. Padding adds nothing to the sum.
    window_shape, strides, padding: as of `max_pool`.

  Returns:
    `[..., *out, channels]` in x's dtype.

  Raises:
    TypeError, ValueError: for bad arguments, with the argument, its value and what was expected.
  """
  x, mask = floating("x", x), floating("mask", mask)
  win = windows(x.shape, window_shape, strides, padding)
  if mask.shape not in (win.window, (*win.window, x.shape[-1])):
    raise ValueError(f"mask: expected shape {win.window} or {(*win.window, x.shape[-1])}, got {mask.shape}")
  return apply(_gate, win, x, mask.reshape(*win.window, -1))


def _gate(win, members, mask):
  pairs = zip(win.places(mask), win.elements(members), strict=True)
  logit = win.sum([jnp.clip(m * x, -_SATURATED, _SATURATED) for m, x in pairs])
  return _mix(win, members, jax.nn.sigmoid(logit))


def _mix(win, members, mix):
  return mix * window_max(win, members) + (1 - mix) * window_mean(win, members)

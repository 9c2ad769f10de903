"""Mixed and gated max-average pooling (Lee, Gallagher, Tu, AISTATS 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ppool_jax.pooling.average import window_mean
from ppool_jax.pooling.custom_jvp import run_pool
from ppool_jax.pooling.dispatch import resolve_windows
from ppool_jax.pooling.geometry import Padding
from ppool_jax.pooling.validation import as_floating, as_parameter

# A product beyond this saturates the gate whatever the others are; sums of such products stay finite.
_SATURATED = 1e30


def mixed_pool(
  x: ArrayLike,
  mix: ArrayLike,
  window_shape: Sequence[int],
  strides: Sequence[int] | None = None,
  padding: Padding = "VALID",
) -> jax.Array:
  """Mixed max-average pooling: y = mix * max + (1 - mix) * average.

  Args:
    x, window_shape, strides, padding: as in `max_pool`.
    mix: the share of max pooling, a number or an array that broadcasts to the output. As in the paper, it
      is not restricted to [0, 1].

  Returns:
    `[..., *out, channels]` in x's dtype.

  Raises:
    TypeError, ValueError: as `max_pool`; also a bad `mix`.
  """
  x = as_floating("x", x)
  win = resolve_windows(x.shape, window_shape, strides, padding)
  return run_pool(_mix, win, x, as_parameter("mix", mix, win.out_shape(x.shape)))


def gated_pool(
  x: ArrayLike,
  mask: ArrayLike,
  window_shape: Sequence[int],
  strides: Sequence[int] | None = None,
  padding: Padding = "VALID",
) -> jax.Array:
  """Gated max-average pooling: y = s * max + (1 - s) * average with s = sigmoid(sum_i mask_i x_i).

  Args:
    x, window_shape, strides, padding: as in `max_pool`.
    mask: the gating mask, floating, `[*window]` for one mask in the layer (the paper's "gated, layer-wise")
      or `[*window, channels]` for one in each channel. Padding adds nothing to the sum.

  Returns:
    `[..., *out, channels]` in x's dtype.

  Raises:
    TypeError, ValueError: as `max_pool`; also a bad `mask`.
  """
  x, mask = as_floating("x", x), as_floating("mask", mask)
  win = resolve_windows(x.shape, window_shape, strides, padding)
  if mask.shape not in (win.window, (*win.window, x.shape[-1])):
    raise ValueError(f"mask: expected shape {win.window} or {(*win.window, x.shape[-1])}, got {mask.shape}")
  return run_pool(_gate, win, x, mask.reshape(*win.window, -1))


def _gate(win, inputs, mask):
  pairs = zip(win.kernel_view(mask), win.window_view(inputs), strict=True)
  logit = win.sum([jnp.clip(m * x, -_SATURATED, _SATURATED) for m, x in pairs])
  return _mix(win, inputs, jax.nn.sigmoid(logit))


def _mix(win, inputs, mix):
  return mix * win.max(inputs) + (1 - mix) * window_mean(win, inputs)

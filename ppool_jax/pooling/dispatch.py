"""Chooses how windows are read: by their geometry, and by the platform that a program is compiled for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import jax
from jax import lax

from ppool_jax.pooling.geometry import Padding, resolve
from ppool_jax.pooling.stacked import StackedWindows
from ppool_jax.pooling.tiles import Tiles, TpuTiles
from ppool_jax.pooling.windows import MAX_UNROLLED, Windows


def resolve_windows(
  x_shape: Sequence[int],
  window_shape: Sequence[int],
  strides: Sequence[int] | None = None,
  padding: Padding = "VALID",
  dilation: Sequence[int] | None = None,
) -> Windows:
  """The windows over an input of shape `[..., *spatial, channels]`; arguments and errors as in `resolve`."""
  geometry = resolve(x_shape, window_shape, strides, padding, dilation)
  if geometry.strides == geometry.window == geometry.extent:
    return Tiles(**vars(geometry))
  return (Windows if geometry.size <= MAX_UNROLLED else StackedWindows)(**vars(geometry))


def by_platform(function: Callable, win: Windows, *operands):
  """`function(win, *operands)`, with windows of the kind that suits the platform it is compiled for."""
  if not _differs_on_tpu(win):
    return function(win, *operands)
  on_tpu = functools.partial(function, TpuTiles(**vars(win)))
  return lax.platform_dependent(*operands, tpu=on_tpu, default=functools.partial(function, win))


def share_cotangent(win: Windows, x: jax.Array) -> jax.Array:
  """x, marked so that on a TPU the cotangents of all that reads its windows are added in one fusion.

  A TPU's compiler would otherwise reshape each cotangent to x's shape before it adds them, and store each.
  """
  return _share_cotangent(win, x) if _differs_on_tpu(win) else x


def _differs_on_tpu(win: Windows) -> bool:
  return isinstance(win, Tiles) and win.unrolled


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _share_cotangent(win: Tiles, x):
  return x


@_share_cotangent.defjvp
def _share_cotangent_jvp(win, primals, tangents):
  def on_tpu(dx):
    folded, unfold = win.fold_all(dx)
    return unfold(lax.optimization_barrier(folded))

  return *primals, lax.platform_dependent(*tangents, tpu=on_tpu, default=lambda dx: dx)

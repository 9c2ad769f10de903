"""The places in a network that have a pool, and what stands there."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppool_jax.layers import PolynomialPool, pool_factory
from ppool_jax.models.grid import Grid

PUBLISHED = "published"


class Site(NamedTuple):
  """One pool of a network.

  Attributes:
    name: the pool's name: a parameter path and a key of a `pool` dict.
    window: side of its window.
    stride: 1 or 2.
    padding: (low, high) along both axes.
    ceil: whether a pool that strides begins a window on every stride-th cell, whose last may be smaller
      ("ceil mode" of Caffe and PyTorch): `padding`'s high is then not used.
    published: what the published network has here: a name of `ppool_jax.POOLS` or a factory.
    signed: whether its input may be negative: P-pooling then takes `shift="channel"` (Eq. 2).
  """

  name: str
  window: int
  stride: int
  padding: tuple[int, int] = (0, 0)
  published: str | Callable = "max"
  signed: bool = False
  ceil: bool = False


def choice(pool, site: Site):
  """What `pool` says of a site: a name, a pair or a factory, never a dict and never "published".

  Args:
    pool: what `pool_factory` takes, with None or "published" for what the published network has.
  """
  if isinstance(pool, Mapping):
    if site.name not in pool and "default" not in pool:
      raise ValueError(f'pool: no entry for stage {site.name!r} and no "default" in {sorted(pool)}')
    pool = pool.get(site.name, pool.get("default"))
  return site.published if pool in (None, PUBLISHED) else pool


def named(pool, site: Site, name: str) -> bool:
  """Whether the pool at a site is the one called `name`, with or without keywords."""
  chosen = choice(pool, site)
  return (chosen[0] if isinstance(chosen, tuple | list) else chosen) == name


def strided(pool, site: Site) -> bool:
  """Whether the layer before a site has its stride and there is no pool."""
  return named(pool, site, "strided")


def after(grid: Grid, pool, site: Site, limit: int | None = None) -> Grid:
  """The grid after a site; `limit` is the output stride that is not exceeded."""
  if strided(pool, site) or named(pool, site, "allconv"):
    # Both are centred on every stride-th cell, whatever window a pool would have.
    return grid.window(1, site.stride, 0, limit)
  return grid.window(site.window, site.stride, site.padding[0], limit)


def apply_pool(pool, site: Site, x: jax.Array, stride: int | None = None, dilation: int = 1) -> jax.Array:
  """The pool of a site, as a submodule of the network that calls it.

  Args:
    pool: see `choice`.
    x: `[N, H, W, C]`.
    stride: in place of the site's: 1 where an output stride is limited.
    dilation: the distance of the window's elements.

  Returns:
    `[N, H', W', C]`.
  """
  stride = site.stride if stride is None else stride
  padding = tuple(_padding(site, size, stride) for size in x.shape[1:3])
  factory = _shifted(pool_factory(choice(pool, site))) if site.signed else pool_factory(choice(pool, site))
  window, strides = (site.window,) * 2, (stride,) * 2
  module = factory(window_shape=window, strides=strides, padding=padding, name=site.name)
  return dilated(module, x, dilation)


def _padding(site: Site, size: int, stride: int) -> tuple[int, int]:
  """Along an axis; a pool of stride 1 keeps its input's size, whatever its stride was."""
  low, high = site.padding
  if stride == 1 or site.ceil:
    high = site.window - 1 - (size - 1) % stride - low
  return low, high


def _shifted(factory):
  """P-pooling takes Eq. 2, per example and channel, unless another shift was asked for."""
  base = getattr(factory, "func", factory)
  if base is not PolynomialPool or "shift" in getattr(factory, "keywords", {}):
    return factory
  return functools.partial(factory, shift="channel")


def dilated(layer: Callable[[jax.Array], jax.Array], x: jax.Array, rate: int) -> jax.Array:
  """A layer of stride 1 with `rate - 1` cells between the elements that it reads.

  Every rate-th row and column is an image of its own, side by side in the batch: exact for any
  layer, whatever it computes from its window, where a pool with holes would need every pool anew. The
  alpha map that P-pooling sows is put back in the order of x, as the output is.

  Args:
    layer: of stride 1, `[M, h, w, C]` to `[M, h, w, D]`.
    x: `[N, H, W, C]`, H and W multiples of `rate`.

  Raises:
    ValueError: H or W is no multiple.
  """
  if rate == 1:
    return layer(x)
  n, height, width, channels = x.shape
  if height % rate or width % rate:
    raise ValueError(
      f"images: a layer with dilation {rate} expects multiples of it, got {height}x{width} cells; "
      "pad the image to a multiple of the network's `multiple`"
    )
  x = x.reshape(n, height // rate, rate, width // rate, rate, channels)
  y = layer(jnp.transpose(x, (0, 2, 4, 1, 3, 5)).reshape(-1, height // rate, width // rate, channels))
  merge = functools.partial(merge_phases, rate=rate, shape=(n, height, width))
  if isinstance(layer, PolynomialPool):
    layer.replace_sown_alpha(merge)
  return merge(y)


def merge_phases(phases: jax.Array, rate: int, shape: tuple[int, int, int]) -> jax.Array:
  """The images that `dilated` gives to its layer, as one image again.

  Args:
    phases: `[N * rate**2, H / rate, W / rate, C]`; for each of N images its phases in row-major order.
    rate: of the dilation.
    shape: (N, H, W).

  Returns:
    `[N, H, W, C]`; the value at (rate * i + row, rate * j + column) is that of phase (row, column) at
    (i, j).
  """
  n, height, width = shape
  y = phases.reshape(n, rate, rate, height // rate, width // rate, -1)
  return jnp.transpose(y, (0, 3, 1, 4, 2, 5)).reshape(n, height, width, -1)


def check_pool(pool, sites: Sequence[Site], refused: Mapping[str, str] | None = None) -> None:
  """Refuses stages that do not exist and pools that the network cannot have.

  A typing error in a dict's key would leave the default in its place.

  Args:
    refused: name of a pool -> why the network cannot have it.

  Raises:
    ValueError: with the stages that exist, or the reason.
  """
  names = [site.name for site in sites]
  if isinstance(pool, Mapping) and (unknown := sorted(set(pool) - {*names, "default"})):
    raise ValueError(f'pool: expected stages among {", ".join(names)} and "default", got {unknown[0]!r}')
  for site in sites:
    for name, reason in (refused or {}).items():
      if named(pool, site, name):
        raise ValueError(f"pool: {name!r} at {site.name}: {reason}")


class CountingAvgPool(nn.Module):
  """Average pooling that counts its padding as zeros, as Caffe's and PyTorch's default does."""

  window_shape: Sequence[int]
  strides: Sequence[int] | None = None
  padding: str | Sequence[tuple[int, int]] = "VALID"

  def __call__(self, x: jax.Array) -> jax.Array:
    return nn.avg_pool(x, self.window_shape, self.strides, self.padding)

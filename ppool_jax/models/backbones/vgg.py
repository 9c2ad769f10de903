"""VGG (Simonyan and Zisserman, 2015): stages of 3x3 convolutions, each ended by a pool."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax

from ppool_jax.models.classifier import classify
from ppool_jax.models.dropout import ExampleDropout
from ppool_jax.models.grid import Grid
from ppool_jax.models.network import Network
from ppool_jax.models.pool_slots import Site, after, apply_pool, check_pool, strided


class VGG(Network, kw_only=True):
  """Stages of 3x3 convolutions, each ended by a 2x2 pool; every pool replaceable.

  The convolutions' parameters are `conv<stage>_<number>`, a pool's own live under `pool<stage>`.
  Where the pool is "strided" there is none: the convolution before it has its stride, and "pool<s>" is
  "conv<s>".

  Strides beyond the output stride are removed; pools stay, and what follows is dilated, so that the
  features are those of the network with its strides at more positions.

  Attributes:
    stages: for each stage its channels and the number of its convolutions.
    pool_strides: for each stage the stride of its pool; None: it has no pool.
    pool: what `pool_factory` takes: a name, `(name, kwargs)`, a factory or a dict of stages.
    output_stride: the largest; None: the product of the pools' strides.
    num_classes: None for features, or the classes of the published classifier (fc6, fc7, fc8).
    batch_norm: batch normalisation in place of the convolutions' biases, for training from scratch.
  """

  stages: Sequence[tuple[int, int]]
  pool_strides: Sequence[int | None]
  pool: Any = None
  output_stride: int | None = None
  num_classes: int | None = None
  batch_norm: bool = False

  @property
  def sites(self) -> tuple[Site, ...]:
    strides = enumerate(self.pool_strides, 1)
    # A pool of stride 1 keeps its input's size: its last windows are smaller.
    return tuple(Site(f"pool{s}", 2, stride) for s, stride in strides if stride)

  @property
  def last(self) -> str:
    return f"pool{len(self.stages)}" if self.pool_strides[-1] else f"conv{len(self.stages)}"

  @property
  def grids(self) -> dict[str, Grid]:
    """The cells of every feature."""
    grid, grids = Grid(), {}
    for s in range(1, len(self.stages) + 1):
      site = self._site(s)
      then = self._after(grid, site) if site else grid
      grids[f"conv{s}"] = then if self._strided(site) else grid
      if site:
        grid = grids[site.name] = then
    return grids

  def _site(self, stage: int) -> Site | None:
    return {site.name: site for site in self.sites}.get(f"pool{stage}")

  def _strided(self, site: Site | None) -> bool:
    return site is not None and strided(self.pool, site)

  @property
  def multiple(self) -> int:
    grids = self.grids
    return max(super().multiple, *(grids[site.name.replace("pool", "conv")].multiple for site in self.sites))

  def _after(self, grid: Grid, site: Site) -> Grid:
    return after(grid, self.pool, site, self.output_stride)

  @nn.compact
  def __call__(self, images: jax.Array, train: bool = False, places: jax.Array | None = None):
    """Features of every stage, or class scores.

    Args:
      images: `[N, H, W, 3]`, preprocessed.
      train: whether batch norm takes the batch's statistics (collection "batch_stats" mutable) and
        dropout is on (a "dropout" key).
      places: int `[N]`, the examples' places in the global batch, for dropout.

    Returns:
      "conv<s>", the last activation of stage s before its pool, and "pool<s>", where it has one:
      `[N, H_s, W_s, C_s]`. With `num_classes`, float32 logits `[N, num_classes]`.

    Raises:
      ValueError: `pool` is a dict with a stage that the network does not have; an output stride that no
        stage reaches.
    """
    features = self._features(images, train)
    if self.num_classes is None:
      return features
    return self._classify(features[self.last], train, places)

  def _features(self, images, train: bool) -> dict[str, jax.Array]:
    check_pool(self.pool, self.sites)
    reached = sorted(set(itertools.accumulate((site.stride for site in self.sites), operator.mul, initial=1)))
    if self.output_stride not in (None, *reached):
      raise ValueError(f"output_stride: expected one of {reached}, got {self.output_stride}")
    grid, x, features = Grid(), images, {}
    for s, (channels, depth) in enumerate(self.stages, 1):
      site = self._site(s)
      then = self._after(grid, site) if site else grid
      for i in range(1, depth + 1):
        stride = then.stride // grid.stride if i == depth and self._strided(site) else 1
        x = self._convolution(x, channels, f"{s}_{i}", stride, grid.dilation, train)
      features[f"conv{s}"] = x
      if site:
        x = features[site.name] = x if self._strided(site) else self._pooled(x, site, grid)
      grid = then
    return features

  def _convolution(self, x, channels: int, number: str, stride: int, dilation: int, train: bool):
    count, bias = self.channels(channels), not self.batch_norm
    x = self.conv(x, count, 3, f"conv{number}", stride=stride, dilation=dilation, bias=bias)
    return nn.relu(self.normalise(x, f"norm{number}", train) if self.batch_norm else x)

  def _pooled(self, x, site: Site, grid: Grid):
    stride = self._after(grid, site).stride // grid.stride
    return apply_pool(self.pool, site, x, stride, grid.dilation)

  def _classify(self, x, train: bool, places):
    """fc6 and fc7 as convolutions, so that larger images are classified at every position."""
    rate = self.grids[self.last].dilation
    x = self._dense(x, 4096, 7, "fc6", train, places, dilation=rate, padding=0)
    x = self._dense(x, 4096, 1, "fc7", train, places)
    return classify(x, self.num_classes, self.dtype)

  def _dense(self, x, count: int, size: int, name: str, train: bool, places, **options):
    x = nn.relu(self.conv(x, self.channels(count), size, name, bias=True, **options))
    return ExampleDropout(0.5, name=f"{name}_dropout")(x, train, places)

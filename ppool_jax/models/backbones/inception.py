"""BN-Inception (Ioffe and Szegedy, 2015), "InceptionV2", every one of its strides and pools replaceable."""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppool_jax.models.classifier import classify
from ppool_jax.models.grid import Grid
from ppool_jax.models.network import Network
from ppool_jax.models.pool_slots import CountingAvgPool, Site, after, apply_pool, check_pool, strided


class _Block(NamedTuple):
  """Channels of a block's branches; without `one` and `projection` the others have stride 2."""

  one: int
  three: tuple[int, int]
  double: tuple[int, int]
  projection: int
  pool: Any = CountingAvgPool


_BLOCKS = {
  "3a": _Block(64, (64, 64), (64, 96), 32),
  "3b": _Block(64, (64, 96), (64, 96), 64),
  "3c": _Block(0, (128, 160), (64, 96), 0, "max"),
  "4a": _Block(224, (64, 96), (96, 128), 128),
  "4b": _Block(192, (96, 128), (96, 128), 128),
  "4c": _Block(160, (128, 160), (128, 160), 128),
  "4d": _Block(96, (128, 192), (160, 192), 128),
  "4e": _Block(0, (128, 192), (192, 256), 0, "max"),
  "5a": _Block(352, (192, 320), (160, 224), 128),
  "5b": _Block(352, (192, 320), (192, 224), 128, "max"),
}


def _sites() -> dict[str, Site]:
  sites = [
    Site("pool0", 3, 2, (1, 1), "strided"),  # after conv1
    *(Site(name, 3, 2, ceil=True) for name in ("pool1", "pool2")),
  ]
  for name, block in _BLOCKS.items():
    if block.one:
      sites.append(Site(f"pool_{name}", 3, 1, (1, 1), block.pool))
      continue
    # A window of 3 is centred where the strided convolution in its place samples its input.
    sites += [Site(f"pool_{name}_{branch}", 3, 2, (1, 1), "strided") for branch in ("3x3", "double_3x3")]
    sites.append(Site(f"pool_{name}", 3, 2, published=block.pool, ceil=True))
  return {site.name: site for site in sites}


_SITES = _sites()


class InceptionV2(Network, kw_only=True):
  """BN-Inception; with pools in the place of its strides where `pool` says so.

  Sites: "pool1" and "pool2" of the trunk and "pool_3a" .. "pool_5b" of the blocks, the published pools,
  most of them averages of stride 1; and the strided convolutions, which have stride 1 and a 3x3 pool of
  stride 2 after their ReLU unless the pool is "strided": "pool0" after conv1, "pool_3c_3x3",
  "pool_3c_double_3x3" and the same of 4e. All pools see what is not negative.

  Parameters have Caffe's names with underscores, `inception_3a_3x3_reduce` and its batch norm
  `inception_3a_3x3_reduce_norm`; convolutions have no bias. Sides are halved rounding up; the published
  network is not defined where a side to be halved is odd.

  Source: pretrainedmodels 0.7.4, models/bninception.py, a port of the Caffe model.

  Attributes:
    pool: what `pool_factory` takes: a name, `(name, kwargs)`, a factory or a dict of stages.
    output_stride: 32.
    num_classes: None for features, or the classes of the published classifier.
  """

  pool: Any = None
  output_stride: int = 32
  num_classes: int | None = None

  @property
  def sites(self) -> tuple[Site, ...]:
    return tuple(_SITES.values())

  @property
  def last(self) -> str:
    return "inception_5b"

  @property
  def grids(self) -> dict[str, Grid]:
    """The cells of every feature; those of a block are its convolutions'."""
    first = after(Grid(), self.pool, _SITES["pool0"])
    grids = {"conv1_7x7_s2": first if self._strided("pool0") else Grid(), "pool0": first}
    grids["pool1"] = grids["conv2_3x3"] = after(first, self.pool, _SITES["pool1"])
    grid = grids["pool2"] = after(grids["pool1"], self.pool, _SITES["pool2"])
    for name, block in _BLOCKS.items():
      grid = grid if block.one else after(grid, self.pool, _SITES[f"pool_{name}_3x3"])
      grids[f"inception_{name}"] = grid
    return grids

  def _strided(self, site: str) -> bool:
    return strided(self.pool, _SITES[site])

  @nn.compact
  def __call__(self, images: jax.Array, train: bool = False, places: jax.Array | None = None):
    """Features of every stage, or class scores.

    Args:
      images: `[N, H, W, 3]`, preprocessed.
      train: whether batch norm takes the batch's statistics (collection "batch_stats" mutable).
      places: not used; as of every backbone.

    Returns:
      "conv1_7x7_s2", "pool0" if there is one, "pool1", "conv2_3x3", "pool2", "inception_3a" ..
      "inception_5b": `[N, H_s, W_s, C_s]`. With `num_classes`, float32 logits `[N, num_classes]`.

    Raises:
      ValueError: `pool` has a stage that the network does not have; another output stride.
    """
    check_pool(self.pool, self.sites)
    if self.output_stride != 32:
      raise ValueError(
        f"output_stride: expected 32, as FCN-8s reads features of all strides, got {self.output_stride}"
      )
    x, features = images, {}
    x = features["conv1_7x7_s2"] = self._unit(x, 64, 7, "conv1_7x7_s2", train, self._stride("pool0"))
    if not self._strided("pool0"):
      x = features["pool0"] = self._pooled(x, "pool0")
    x = features["pool1"] = self._pooled(x, "pool1")
    x = self._unit(x, 64, 1, "conv2_3x3_reduce", train)
    x = features["conv2_3x3"] = self._unit(x, 192, 3, "conv2_3x3", train)
    x = features["pool2"] = self._pooled(x, "pool2")
    for name, block in _BLOCKS.items():
      x = features[f"inception_{name}"] = self._block(x, name, block, train)
    return features if self.num_classes is None else classify(x, self.num_classes, self.dtype)

  def _block(self, x, name: str, block: _Block, train: bool):
    """Branches of one 3x3 convolution, of two, of 1x1 alone and of a pool, concatenated."""

    def unit(y, channels, size, branch, stride=1):
      return self._unit(y, channels, size, f"inception_{name}_{branch}", train, stride)

    def last(y, channels, branch, site):
      """The convolution of a branch that may stride."""
      if block.one:
        return unit(y, channels, 3, branch)
      y = unit(y, channels, 3, branch, self._stride(site))
      return y if self._strided(site) else self._pooled(y, site)

    one = [unit(x, block.one, 1, "1x1")] if block.one else []
    three = last(unit(x, block.three[0], 1, "3x3_reduce"), block.three[1], "3x3", f"pool_{name}_3x3")
    double = unit(unit(x, block.double[0], 1, "double_3x3_reduce"), block.double[1], 3, "double_3x3_1")
    double = last(double, block.double[1], "double_3x3_2", f"pool_{name}_double_3x3")
    pool = self._pooled(x, f"pool_{name}")
    pool = unit(pool, block.projection, 1, "pool_proj") if block.projection else pool
    return jnp.concatenate([*one, three, double, pool], axis=-1)

  def _stride(self, site: str) -> int:
    return 2 if self._strided(site) else 1

  def _pooled(self, x, site: str):
    return apply_pool(self.pool, _SITES[site], x)

  def _unit(self, x, channels: int, size: int, name: str, train: bool, stride: int = 1):
    x = self.conv(x, self.channels(channels), size, name, stride=stride)
    return nn.relu(self.normalise(x, f"{name}_norm", train))

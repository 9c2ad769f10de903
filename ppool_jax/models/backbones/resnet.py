"""ResNet-50 (He et al., 2016), and as P-pooling's authors modify it: pools in the place of strides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax

from ppool_jax.models.classifier import classify
from ppool_jax.models.grid import Grid
from ppool_jax.models.network import Network
from ppool_jax.models.pool_slots import Site, after, apply_pool, check_pool, strided

_SITES = (
  Site("pool0", 2, 2, published="strided"),  # after conv1, its batch norm and ReLU
  *(Site(f"pool{stage}", 2, 2, published="strided") for stage in (2, 3, 4)),  # after res2c, res3d, res4f
)
_POOL1 = Site("pool1", 3, 2, (1, 1))


class ResNet(Network, kw_only=True):
  """Bottleneck ResNet; every stride but that of pool1 may be a pool.

  With `pool="strided"`, the published network: conv1 and the first blocks of res3, res4 and res5 have
  stride 2. With any other, these strides are gone and a 2x2 pool of stride 2 stands before them: pool0
  after conv1's ReLU, pool2 after res2c, pool3 after res3d, pool4 after res4f (the paper, section 4.1).
  pool1 is always max pooling. Parameters have Caffe's names: `res3a_branch2a` and its batch norm
  `norm3a_branch2a`; convolutions have no bias.

  Strides beyond the output stride are removed and what follows is dilated; pools stay, with stride 1.

  Attributes:
    depths: blocks of res2..res5.
    pool: what `pool_factory` takes: a name, `(name, kwargs)`, a factory or a dict of stages.
    output_stride: 32, 16 or 8.
    num_classes: None for features, or the classes of the published classifier.
    v1_5: strides are on the 3x3 convolutions, as in torchvision, not on the first 1x1 ones.
  """

  depths: Sequence[int] = (3, 4, 6, 3)
  pool: Any = None
  output_stride: int = 32
  num_classes: int | None = None
  v1_5: bool = False

  @property
  def sites(self) -> tuple[Site, ...]:
    return _SITES

  @property
  def last(self) -> str:
    return "res5"

  @property
  def grids(self) -> dict[str, Grid]:
    """The cells of every feature."""
    pool0, *others = self.sites
    first = self._after(Grid(), pool0)
    grids = {"conv1": first if self._strided(pool0) else Grid(), "pool0": first}
    grids["pool1"] = grids["res2"] = self._after(grids["pool0"], _POOL1)
    for stage, site in enumerate(others, 2):
      grids[site.name] = self._after(grids[f"res{stage}"], site)
      grids[f"res{stage + 1}"] = grids[site.name]
    return grids

  @property
  def multiple(self) -> int:
    return max(super().multiple, self.grids["res4"].multiple)

  def _strided(self, site: Site) -> bool:
    return strided(self.pool, site)

  def _after(self, grid: Grid, site: Site) -> Grid:
    return after(grid, "max" if site is _POOL1 else self.pool, site, self.output_stride)

  @nn.compact
  def __call__(self, images: jax.Array, train: bool = False, places: jax.Array | None = None):
    """Features of every stage, or class scores.

    Args:
      images: `[N, H, W, 3]`, preprocessed.
      train: whether batch norm takes the batch's statistics (collection "batch_stats" mutable).
      places: not used; as of every backbone.

    Returns:
      "conv1", "pool1", "res2" .. "res5", before the pools that follow them, and those pools by name:
      `[N, H_s, W_s, C_s]`. With `num_classes`, float32 logits `[N, num_classes]`.

    Raises:
      ValueError: `pool` has a stage that the network does not have, or is "allconv".
    """
    reason = "a new strided convolution in place of the pool would be the strided network again"
    check_pool(self.pool, self.sites, {"allconv": reason})
    if self.output_stride not in (8, 16, 32):
      raise ValueError(f"output_stride: expected 8, 16 or 32, got {self.output_stride}")
    grids, features = self.grids, {}
    x = self._stem(images, features, train)
    for stage, depth in enumerate(self.depths, 2):
      stride, dilations = 1, [grids[f"res{stage}"].dilation] * depth
      if stage > 2:
        before, site = grids[f"res{stage - 1}"], self.sites[stage - 2]
        stride = grids[f"res{stage}"].stride // before.stride
        if not self._strided(site):
          x = features[site.name] = apply_pool(self.pool, site, x, stride, before.dilation)
          stride = 1
        elif self.v1_5:
          # The 3x3 convolution that had the stride reads cells as they lie before it.
          dilations[0] = before.dilation
      x = self._stage(x, stage, stride, dilations, train)
      features[f"res{stage}"] = x
    return features if self.num_classes is None else classify(x, self.num_classes, self.dtype)

  def _stem(self, images, features, train: bool):
    """conv1, pool0 unless it is strided, and pool1."""
    pool0 = self.sites[0]
    stride = 2 if self._strided(pool0) else 1
    x = self.conv(images, self.channels(64), 7, "conv1", stride=stride)
    x = features["conv1"] = nn.relu(self.normalise(x, "norm1", train))
    if stride == 1:
      x = features["pool0"] = apply_pool(self.pool, pool0, x)
    x = features["pool1"] = apply_pool("max", _POOL1, x)
    return x

  def _stage(self, x, stage: int, stride: int, dilations: Sequence[int], train: bool):
    """Blocks a, b, c ...; the first changes the channels and may have a stride."""
    for block, dilation in zip("abcdef"[: len(dilations)], dilations, strict=True):
      x = self._block(x, f"{stage}{block}", 64 * 2 ** (stage - 2), stride, dilation, train)
      stride = 1
    return x

  def _block(self, x, name: str, channels: int, stride: int, dilation: int, train: bool):
    def branch(y, number, count, size, **options):
      y = self.conv(y, self.channels(count), size, f"res{name}_branch{number}", **options)
      return self.normalise(y, f"norm{name}_branch{number}", train)

    first, second = (1, stride) if self.v1_5 else (stride, 1)
    y = nn.relu(branch(x, "2a", channels, 1, stride=first))
    y = nn.relu(branch(y, "2b", channels, 3, stride=second, dilation=dilation))
    y = branch(y, "2c", 4 * channels, 1)
    shortcut = branch(x, "1", 4 * channels, 1, stride=stride) if name.endswith("a") else x
    return nn.relu(shortcut + y)

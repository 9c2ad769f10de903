"""Xception (Chollet, 2017), every one of its strides and pools replaceable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax

from ppool_jax.models.classifier import classify
from ppool_jax.models.grid import Grid
from ppool_jax.models.network import Network
from ppool_jax.models.pool_slots import Site, after, apply_pool, check_pool, strided

# The channels of a block's separable convolutions.
_BLOCKS = dict(enumerate(((128, 128), (256, 256), (728, 728), *[(728,) * 3] * 8, (728, 1024)), 1))
_POOL1 = Site("pool1", 3, 2, (2, 2), published="strided")
# The pools that end blocks follow a batch norm without ReLU.
_POOLS = {b: Site(f"pool{i}", 3, 2, (1, 1), signed=True) for i, b in enumerate((1, 2, 3, 12), 2)}


class Xception(Network, kw_only=True):
  """Xception; with pools in the place of its strides, the "Xception-38" of P-pooling's authors.

  The published network has a stride in conv1 and a 3x3 max pool at the end of block 1, 2, 3 and 12
  ("pool2" .. "pool5"). With any `pool` but "strided" at "pool1", conv1 has stride 1 and a 3x3 pool
  follows its ReLU. The 1x1 convolutions beside the pooled blocks keep their strides. "strided" at the
  other pools keeps every second cell, the values of a block whose last convolution has the stride.
  conv1 and conv2 have no padding, the others keep their input's size. Pools are padded by 1 before and
  after, as in the ports to PyTorch; Keras pads even sizes after the last cell only, which at 299 is
  pool3's input. Batch norm is Keras's by default; the ports have `epsilon=1e-5`.

  Strides beyond the output stride are removed, pools stay, and what follows is dilated. At 16, features
  are those at 32 at more positions: block12's convolutions lie before its pool and are not dilated by it,
  which they are in the authors' code. At 8 they are not those at 16: as in the authors' code, block12's
  pool reads neighbouring cells where every second one would be the same function.

  Parameters are `conv1`, `norm1`, `block1_sep1_depthwise`, `block1_sep1_pointwise`, `block1_norm1`,
  `block1_skip`, `block1_skip_norm`, `conv3_depthwise` and so on; convolutions have no bias.

  Source: keras.applications.Xception; networks/xception_p_pooling.py of
  kfxw/mydev-pytorch-semantic-segmentation for the pools and dilations.

  Attributes:
    pool: what `pool_factory` takes: a name, `(name, kwargs)`, a factory or a dict of stages.
    output_stride: 32, 16 or 8.
    num_classes: None for features, or the classes of the published classifier.
    multi_grid: further dilation of block12, conv3 and conv4; (1, 2, 4) in the authors' DeepLabV3.
  """

  pool: Any = None
  output_stride: int = 32
  num_classes: int | None = None
  multi_grid: Sequence[int] = (1, 1, 1)
  epsilon: float = 1e-3
  momentum: float = 0.99

  @property
  def sites(self) -> tuple[Site, ...]:
    return (_POOL1, *_POOLS.values())

  @property
  def last(self) -> str:
    return "conv4"

  @property
  def grids(self) -> dict[str, Grid]:
    """The cells of every feature."""
    conv1 = Grid().window(3)
    pool1 = after(conv1, self.pool, _POOL1)
    grids = {"conv1": pool1} if strided(self.pool, _POOL1) else {"conv1": conv1, "pool1": pool1}
    grid = grids["conv2"] = pool1.window(3)
    for block in _BLOCKS:
      if site := _POOLS.get(block):
        grid = after(grid, self.pool, site, self.output_stride)
      grids[f"block{block}"] = grid
    return grids | dict.fromkeys(("conv3", "conv4"), grid)

  @nn.compact
  def __call__(self, images: jax.Array, train: bool = False, places: jax.Array | None = None):
    """Features of every stage, or class scores.

    Args:
      images: `[N, H, W, 3]`, preprocessed.
      train: whether batch norm takes the batch's statistics (collection "batch_stats" mutable).
      places: not used; as of every backbone.

    Returns:
      "conv1", "pool1" if there is one, "conv2", "block1" .. "block12" after the additions, without a
      ReLU, "conv3", "conv4": `[N, H_s, W_s, C_s]`. With `num_classes`, float32 logits
      `[N, num_classes]`.

    Raises:
      ValueError: `pool` has a stage that the network does not have; another output stride; not three
        dilations.
    """
    check_pool(self.pool, self.sites)
    if self.output_stride not in (8, 16, 32):
      raise ValueError(f"output_stride: expected 8, 16 or 32, got {self.output_stride}")
    if len(self.multi_grid) != 3:
      raise ValueError(f"multi_grid: expected three dilations, got {self.multi_grid}")
    features = {}
    x = self._stem(images, features, train)
    for block in _BLOCKS:
      x = features[f"block{block}"] = self._block(x, block, train)
    for i, channels in ((3, 1536), (4, 2048)):
      dilation = self.grids["block12"].dilation * self.multi_grid[i - 2]
      x = nn.relu(self._separable(x, channels, f"conv{i}", f"norm{i}", dilation, train))
      features[f"conv{i}"] = x
    return features if self.num_classes is None else classify(x, self.num_classes, self.dtype)

  def _stem(self, images, features, train: bool):
    """conv1, pool1 unless it is strided, and conv2."""
    stride = _POOL1.stride if strided(self.pool, _POOL1) else 1
    x = self.conv(images, self.channels(32), 3, "conv1", stride=stride, padding=0)
    x = features["conv1"] = nn.relu(self.normalise(x, "norm1", train))
    if stride == 1:
      x = features["pool1"] = apply_pool(self.pool, _POOL1, x)
    x = self.conv(x, self.channels(64), 3, "conv2", padding=0)
    x = features["conv2"] = nn.relu(self.normalise(x, "norm2", train))
    return x

  def _block(self, x, block: int, train: bool):
    """Separable convolutions and the pool, added to the input or to its projection."""
    grids, site = self.grids, _POOLS.get(block)
    before, here = (grids[f"block{b}" if b else "conv2"] for b in (block - 1, block))
    dilation, y = before.dilation * (self.multi_grid[0] if block == 12 else 1), x
    for i, channels in enumerate(_BLOCKS[block], 1):
      # Keras leaves block1's first ReLU out: conv2's has been there.
      name, norm = f"block{block}_sep{i}", f"block{block}_norm{i}"
      y = self._separable(nn.relu(y), channels, name, norm, dilation, train)
    if site is None:
      return x + y
    stride = here.stride // before.stride
    skip = self.conv(x, y.shape[-1], 1, f"block{block}_skip", stride=stride)
    skip = self.normalise(skip, f"block{block}_skip_norm", train)
    return skip + apply_pool(self.pool, site, y, stride)

  def _separable(self, x, channels: int, name: str, norm: str, dilation: int, train: bool):
    x = self.depthwise(x, f"{name}_depthwise", dilation)
    x = self.conv(x, self.channels(channels), 1, f"{name}_pointwise")
    return self.normalise(x, norm, train)

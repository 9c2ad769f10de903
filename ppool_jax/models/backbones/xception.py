"""Xception (Chollet, 2017), whose strides and pools may be replaced by any pool."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax

from ppool_jax.models.backbones.backbone import Backbone
from ppool_jax.models.grid import Grid
from ppool_jax.models.pool_slots import PoolSlot, apply_pool, check_pool

# Channels of the separable convolutions of each block.
_BLOCKS = dict(enumerate(((128, 128), (256, 256), (728, 728), *[(728,) * 3] * 8, (728, 1024)), 1))
_POOL1 = PoolSlot("pool1", 3, 2, (2, 2), published="strided")
# The pools at the ends of blocks follow a batch norm without ReLU.
_POOLS = {b: PoolSlot(f"pool{i}", 3, 2, (1, 1), signed=True) for i, b in enumerate((1, 2, 3, 12), 2)}


class Xception(Backbone, kw_only=True):
  """Xception, in which pools may replace the strides ("Xception-38" of P-pooling's authors).

  The published network has a stride in conv1 and a 3x3 max pool at the end of blocks 1, 2, 3 and 12
  ("pool2" .. "pool5"). With any `pool` but "strided" at "pool1", conv1 has stride 1 and a 3x3 pool
  follows its ReLU. The 1x1 convolutions of the skip connections keep their strides. "strided" at the
  other pools keeps every second position, as if the last convolution of the block had the stride.

  conv1 and conv2 have no padding; the others preserve the size. Pools have padding 1 on both sides, as in
  the ports to PyTorch; Keras pads even sizes at the end only, which at 299 is the input of pool3. The
  defaults of batch norm are Keras's; the ports have `epsilon=1e-5`.

  At output stride 16, features are those at 32 at more positions: block12's convolutions precede its pool
  and are not dilated by it, which they are in the authors' code. At 8 this does not hold: as in the
  authors' code, block12's pool reads neighboring positions where it would have to read every second.

  Parameters are `conv1`, `norm1`, `block1_sep1_depthwise`, `block1_sep1_pointwise`, `block1_norm1`,
  `block1_skip`, `block1_skip_norm`, `conv3_depthwise` and so on; convolutions have no bias.

  Source: keras.applications.Xception; networks/xception_p_pooling.py of
  kfxw/mydev-pytorch-semantic-segmentation for the pools and dilations.

  Attributes:
    output_stride: 32, 16 or 8.
    multi_grid: further dilation of block12, conv3 and conv4; (1, 2, 4) in the authors' DeepLabV3.
  """

  multi_grid: Sequence[int] = (1, 1, 1)
  epsilon: float = 1e-3
  momentum: float = 0.99

  @property
  def pool_slots(self) -> tuple[PoolSlot, ...]:
    return (_POOL1, *_POOLS.values())

  @property
  def last_feature(self) -> str:
    return "conv4"

  @property
  def grids(self) -> dict[str, Grid]:
    conv1 = Grid().after_layer(3)
    pool1 = self.grid_after(conv1, _POOL1)
    grids = {"conv1": pool1} if self.is_strided(_POOL1) else {"conv1": conv1, "pool1": pool1}
    grid = grids["conv2"] = pool1.after_layer(3)
    for block in _BLOCKS:
      if slot := _POOLS.get(block):
        grid = self.grid_after(grid, slot)
      grids[f"block{block}"] = grid
    return grids | dict.fromkeys(("conv3", "conv4"), grid)

  @nn.compact
  def __call__(
    self, images: jax.Array, train: bool = False, example_index: jax.Array | None = None
  ) -> dict[str, jax.Array] | jax.Array:
    """Computes the features, or class scores.

    Args:
      images: `[N, H, W, 3]`, preprocessed.
      train: whether batch norm uses the batch's statistics (collection "batch_stats" mutable).
      example_index: unused; part of the interface of all backbones.

    Returns:
      "conv1", "pool1" unless it is strided, "conv2", "block1" .. "block12" after the additions, without a
      ReLU, "conv3", "conv4": `[N, H_s, W_s, C_s]`. With `num_classes`, float32 logits
      `[N, num_classes]`.

    Raises:
      ValueError: `pool` names a slot that does not exist; an invalid output stride; `multi_grid` does not
        have three dilations.
    """
    check_pool(self.pool, self.pool_slots)
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
    return self.output(features)

  def _stem(self, images: jax.Array, features: dict[str, jax.Array], train: bool) -> jax.Array:
    """conv1, pool1 unless it is strided, and conv2."""
    stride = _POOL1.stride if self.is_strided(_POOL1) else 1
    x = self.conv(images, self.channels(32), 3, "conv1", stride=stride, padding=0)
    x = features["conv1"] = nn.relu(self.normalize(x, "norm1", train))
    if stride == 1:
      x = features["pool1"] = apply_pool(self.pool, _POOL1, x)
    x = self.conv(x, self.channels(64), 3, "conv2", padding=0)
    x = features["conv2"] = nn.relu(self.normalize(x, "norm2", train))
    return x

  def _block(self, x, block: int, train: bool) -> jax.Array:
    """Adds separable convolutions and the pool to the input, or to its projection."""
    grids, slot = self.grids, _POOLS.get(block)
    before, here = (grids[f"block{b}" if b else "conv2"] for b in (block - 1, block))
    dilation, y = before.dilation * (self.multi_grid[0] if block == 12 else 1), x
    for i, channels in enumerate(_BLOCKS[block], 1):
      # The first ReLU of block1, which Keras leaves out, repeats that of conv2.
      name, norm = f"block{block}_sep{i}", f"block{block}_norm{i}"
      y = self._separable(nn.relu(y), channels, name, norm, dilation, train)
    if slot is None:
      return x + y
    stride = here.stride // before.stride
    skip = self.conv(x, y.shape[-1], 1, f"block{block}_skip", stride=stride)
    skip = self.normalize(skip, f"block{block}_skip_norm", train)
    return skip + apply_pool(self.pool, slot, y, stride)

  def _separable(self, x, channels: int, name: str, norm: str, dilation: int, train: bool) -> jax.Array:
    x = self.depthwise(x, f"{name}_depthwise", dilation)
    x = self.conv(x, self.channels(channels), 1, f"{name}_pointwise")
    return self.normalize(x, norm, train)

"""ResNet-50 (He et al., 2016), whose strides may be replaced by pools (Wei et al., 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax

from ppool_jax.models.backbones.backbone import Backbone
from ppool_jax.models.grid import Grid
from ppool_jax.models.pool_slots import PoolSlot, apply_pool, check_pool, grid_after

_SLOTS = (
  PoolSlot("pool0", 2, 2, published="strided"),  # after conv1, its batch norm and ReLU
  *(PoolSlot(f"pool{stage}", 2, 2, published="strided") for stage in (2, 3, 4)),  # after res2c, res3d, res4f
)
_POOL1 = PoolSlot("pool1", 3, 2, (1, 1))


class ResNet(Backbone, kw_only=True):
  """Bottleneck ResNet in which a pool may replace every stride but that of pool1.

  With `pool="strided"` it is the published network: conv1 and the first blocks of res3, res4 and res5
  have stride 2. With any other pool these strides are removed and a 2x2 pool of stride 2 precedes them:
  pool0 after conv1's ReLU, pool2 after res2c, pool3 after res3d, pool4 after res4f (the paper, section
  4.1). pool1 is always max pooling. Parameters have Caffe's names, such as `res3a_branch2a` and its batch
  norm `norm3a_branch2a`; convolutions have no bias.

  Attributes:
    depths: number of blocks of res2..res5.
    output_stride: 32, 16 or 8.
    v1_5: whether the 3x3 convolutions have the strides, as in torchvision, and not the first 1x1
      convolutions.
  """

  depths: Sequence[int] = (3, 4, 6, 3)
  v1_5: bool = False

  @property
  def pool_slots(self) -> tuple[PoolSlot, ...]:
    return _SLOTS

  @property
  def last_feature(self) -> str:
    return "res5"

  @property
  def grids(self) -> dict[str, Grid]:
    pool0, *others = self.pool_slots
    first = self.grid_after(Grid(), pool0)
    grids = {"conv1": first if self.is_strided(pool0) else Grid(), "pool0": first}
    grids["pool1"] = grids["res2"] = grid_after(first, "max", _POOL1, self.output_stride)
    for stage, slot in enumerate(others, 2):
      grids[slot.name] = grids[f"res{stage + 1}"] = self.grid_after(grids[f"res{stage}"], slot)
    return grids

  @property
  def size_divisor(self) -> int:
    return max(super().size_divisor, self.grids["res4"].size_divisor)

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
      "conv1", "pool1", "res2" .. "res5", and the pools by name, which follow their stage:
      `[N, H_s, W_s, C_s]`. With `num_classes`, float32 logits `[N, num_classes]`.

    Raises:
      ValueError: `pool` names a slot that does not exist, or is "allconv"; an invalid output stride.
    """
    reason = "a new strided convolution in place of the pool would be the strided network again"
    check_pool(self.pool, self.pool_slots, {"allconv": reason})
    if self.output_stride not in (8, 16, 32):
      raise ValueError(f"output_stride: expected 8, 16 or 32, got {self.output_stride}")
    grids, features = self.grids, {}
    x = self._stem(images, features, train)
    for stage, depth in enumerate(self.depths, 2):
      stride, dilations = 1, [grids[f"res{stage}"].dilation] * depth
      if stage > 2:
        before, slot = grids[f"res{stage - 1}"], self.pool_slots[stage - 2]
        stride = grids[f"res{stage}"].stride // before.stride
        if not self.is_strided(slot):
          x = features[slot.name] = apply_pool(self.pool, slot, x, stride, before.dilation)
          stride = 1
        elif self.v1_5:
          # The 3x3 convolution with the removed stride reads the grid that precedes it.
          dilations[0] = before.dilation
      x = features[f"res{stage}"] = self._stage(x, stage, stride, dilations, train)
    return self.output(features)

  def _stem(self, images: jax.Array, features: dict[str, jax.Array], train: bool) -> jax.Array:
    """conv1, pool0 unless it is strided, and pool1."""
    pool0 = self.pool_slots[0]
    stride = 2 if self.is_strided(pool0) else 1
    x = self.conv(images, self.channels(64), 7, "conv1", stride=stride)
    x = features["conv1"] = nn.relu(self.normalize(x, "norm1", train))
    if stride == 1:
      x = features["pool0"] = apply_pool(self.pool, pool0, x)
    x = features["pool1"] = apply_pool("max", _POOL1, x)
    return x

  def _stage(self, x, stage: int, stride: int, dilations: Sequence[int], train: bool) -> jax.Array:
    """Blocks a, b, c, ...; the first changes the number of channels and may have a stride."""
    for block, dilation in zip("abcdef"[: len(dilations)], dilations, strict=True):
      x = self._block(x, f"{stage}{block}", 64 * 2 ** (stage - 2), stride, dilation, train)
      stride = 1
    return x

  def _block(self, x, name: str, channels: int, stride: int, dilation: int, train: bool) -> jax.Array:
    def branch(y, number, count, size, **options):
      y = self.conv(y, self.channels(count), size, f"res{name}_branch{number}", **options)
      return self.normalize(y, f"norm{name}_branch{number}", train)

    first, second = (1, stride) if self.v1_5 else (stride, 1)
    y = nn.relu(branch(x, "2a", channels, 1, stride=first))
    y = nn.relu(branch(y, "2b", channels, 3, stride=second, dilation=dilation))
    y = branch(y, "2c", 4 * channels, 1)
    shortcut = branch(x, "1", 4 * channels, 1, stride=stride) if name.endswith("a") else x
    return nn.relu(shortcut + y)

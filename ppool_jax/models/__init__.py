"""The paper's networks in Flax Linen, with the pool as an argument.

`build` returns a segmenter, `backbone` a trunk that returns a dict of features.
"""

from __future__ import annotations

import difflib
import functools
from typing import Any

import flax.linen as nn

from ppool_jax.models.heads import HEADS
from ppool_jax.models.segmenter import Segmenter, upsample
from ppool_jax.models.vgg import VGG

__all__ = ["BACKBONES", "HEADS", "VGG", "Segmenter", "backbone", "build", "upsample"]

BACKBONES = {
  # As in the paper's Table 1: pool5 keeps its input's resolution, the overall stride is 16.
  "vgg16": functools.partial(
    VGG, stages=((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), pool_strides=(2, 2, 2, 2, 1)
  ),
  # For the quick start and for tests: 100 times smaller, trains from scratch in minutes. Stride 4; no pool
  # at stride 1, which cost a sixth of the time and moved mIoU by 0.3 points, one run each.
  "vgg_mini": functools.partial(
    VGG, stages=((16, 2), (32, 2), (64, 3)), pool_strides=(2, 2, None), batch_norm=True
  ),
}
_LAST_FEATURE = {"vgg16": "pool5", "vgg_mini": "conv3"}


def backbone(name: str, pool: Any = "max", **options) -> nn.Module:
  """The trunk `name`: `module(images [N, H, W, 3]) -> {"conv1": ..., "pool1": ..., ...}`.

  Args:
    name: one of `BACKBONES`.
    pool: a name of `ppool_jax.POOLS`, `(name, kwargs)`, a factory `(window_shape, strides, padding,
      name) -> module`, or a dict from stage ("pool3") to one of these with "default".
    options: further attributes of the module, such as `dtype`.

  Raises:
    ValueError: no such network, with the nearest name.
  """
  return BACKBONES[_known(name, BACKBONES, "network")](pool=pool, **options)


def build(
  name: str, num_classes: int, pool: Any = "max", head: str = "linear", dtype: Any = None, **options
) -> Segmenter:
  """A segmenter: `apply(variables, images [N, H, W, 3], train=False) -> logits [N, H, W, num_classes]`.

  Args:
    name, pool, options: as of `backbone`.
    num_classes: of the logits.
    head: "linear", a 1x1 classifier on the last pool, or "fc", the authors' fc6 and fc7 before it.
    dtype: of the computation, such as `jnp.bfloat16`; parameters and logits are float32.

  Raises:
    ValueError: no such network or head, with the nearest name; num_classes < 1.
  """
  if num_classes < 1:
    raise ValueError(f"num_classes: expected at least 1, got {num_classes}")
  trunk = backbone(name, pool, dtype=dtype, **options)
  top = HEADS[_known(head, HEADS, "head")](num_classes, dtype=dtype)
  return Segmenter(trunk, top, _LAST_FEATURE[name])


def _known(name: str, table: dict, what: str) -> str:
  if name in table:
    return name
  near = difflib.get_close_matches(str(name), table, n=1)
  hint = f" (did you mean {near[0]!r}?)" if near else ""
  raise ValueError(f"{what}: expected one of {', '.join(table)}, got {name!r}{hint}")

"""Backbones, heads and segmentation networks in Flax Linen; of the library only weights may import them.

`build` makes a segmenter. `backbone` makes a backbone, which returns its features by name, or, with
`num_classes`, the published classifier.
"""

from __future__ import annotations

from typing import Any

from ppool_jax.models.backbones import VGG, Backbone
from ppool_jax.models.grid import Grid
from ppool_jax.models.pool_slots import PoolChoice, PoolSlot
from ppool_jax.models.registry import BACKBONES, HEADS, NETWORKS, NetworkSpec
from ppool_jax.models.segmenter import Segmenter
from ppool_jax.models.upsampling import upsample
from ppool_jax.utils.lookup import lookup

__all__ = [
  "BACKBONES",
  "HEADS",
  "NETWORKS",
  "VGG",
  "Backbone",
  "Grid",
  "NetworkSpec",
  "PoolChoice",
  "PoolSlot",
  "Segmenter",
  "backbone",
  "build",
  "network_spec",
  "sync_batch_norm",
  "upsample",
]


def backbone(name: str, pool: PoolChoice = None, num_classes: int | None = None, **options: Any) -> Backbone:
  """The backbone `name`: `module(images [N, H, W, 3], train=False) -> {"conv1": ..., "pool1": ..., ...}`.

  Args:
    name: one of `BACKBONES`.
    pool: the pools: a name of `ppool_jax.POOLS`, `(name, kwargs)`, a factory `(window_shape, strides,
      padding, name) -> module`, or a dict from pool slots ("pool3") to one of these, with "default" for the
      other slots. None or "published": the published network's pools.
    num_classes: the module is then the published classifier, `images -> logits [N, num_classes]`;
      ImageNet weights have 1000 classes.
    options: further attributes of the module: `output_stride`, `width`, `norm`, `dtype`, ...

  Raises:
    ValueError: an unknown network, with a suggestion; num_classes < 1.
    TypeError: an option that the network does not have.
  """
  spec = lookup(name, BACKBONES, "network")
  if num_classes is not None:
    _check_num_classes(num_classes)
    options = {**spec.classifier_options, **options, "num_classes": num_classes}
  return spec.module(**{**spec.options, **options}, pool=pool)


def build(
  name: str,
  num_classes: int,
  pool: PoolChoice = "max",
  head: str | None = None,
  dtype: Any = None,
  **options: Any,
) -> Segmenter:
  """A segmenter: `apply(variables, images [N, H, W, 3], train=False) -> logits [N, H, W, num_classes]`.

  Args:
    name: one of `NETWORKS`.
    num_classes: of the logits.
    pool: the pools, as in `backbone`.
    head: one of `HEADS`; None: the network's own.
    dtype: of the computation, such as `jnp.bfloat16`; parameters and logits are float32.
    options: further attributes of the backbone; `width`, `norm` and `momentum` also apply to the head.

  Raises:
    ValueError: an unknown network or head, with a suggestion; num_classes < 1; a head that needs features
      which the backbone does not have.
    TypeError: an option that the network does not have.
  """
  _check_num_classes(num_classes)
  spec = network_spec(name)
  module = backbone(spec.backbone, pool, dtype=dtype, **{**spec.options, **options})
  top, feature = lookup(head or spec.head, HEADS, "head")(module, num_classes)
  return Segmenter(module, top, feature)


def network_spec(name: str) -> NetworkSpec:
  """The names of a segmenter's backbone and head, and the backbone's options.

  Raises:
    ValueError: an unknown network, with a suggestion.
  """
  return lookup(name, NETWORKS, "network")


def sync_batch_norm(model: Segmenter, axis_name: str | None) -> Segmenter:
  """The model whose "sync" batch norm takes the mean of its statistics over an axis of `jax.pmap`."""
  parts = {
    part: getattr(model, part).clone(axis_name=axis_name)
    for part in ("backbone", "head")
    if hasattr(getattr(model, part), "axis_name")
  }
  return model.clone(**parts)


def _check_num_classes(num_classes: int) -> None:
  if num_classes < 1:
    raise ValueError(f"num_classes: expected at least 1, got {num_classes}")

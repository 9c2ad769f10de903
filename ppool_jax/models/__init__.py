"""The paper's networks in Flax Linen, with the pool as an argument.

`build` returns a segmenter, `backbone` a trunk that returns a dict of features, or, with
`num_classes`, the published classifier.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn

from ppool_jax.models.backbones.vgg import VGG
from ppool_jax.models.registry import BACKBONES, HEADS, NETWORKS, Segmentation
from ppool_jax.models.segmenter import Segmenter
from ppool_jax.models.upsampling import upsample
from ppool_jax.utils.lookup import lookup

__all__ = [
  "BACKBONES",
  "HEADS",
  "NETWORKS",
  "VGG",
  "Segmenter",
  "backbone",
  "build",
  "network",
  "synchronised",
  "upsample",
]


def backbone(name: str, pool: Any = None, num_classes: int | None = None, **options) -> nn.Module:
  """The trunk `name`: `module(images [N, H, W, 3], train=False) -> {"conv1": ..., "pool1": ..., ...}`.

  Args:
    name: one of `BACKBONES`.
    pool: a name of `ppool_jax.POOLS`, `(name, kwargs)`, a factory `(window_shape, strides, padding,
      name) -> module`, or a dict from stage ("pool3") to one of these with "default". None, or
      "published": what the published network has there.
    num_classes: the module is then the published classifier, `images -> logits [N, num_classes]`;
      ImageNet's files have 1000.
    options: further attributes of the module: `output_stride`, `width`, `norm`, `dtype`, ...

  Raises:
    ValueError: no such network, with the nearest name; num_classes < 1.
    TypeError: an option that the network does not have.
  """
  module, published, classifier = lookup(name, BACKBONES, "network")
  if num_classes is not None:
    _check_classes(num_classes)
    options = {**classifier, **options, "num_classes": num_classes}
  return module(**{**published, **options}, pool=pool)


def build(
  name: str, num_classes: int, pool: Any = "max", head: str | None = None, dtype: Any = None, **options
) -> Segmenter:
  """A segmenter: `apply(variables, images [N, H, W, 3], train=False) -> logits [N, H, W, num_classes]`.

  Args:
    name: one of `NETWORKS`.
    num_classes: of the logits.
    pool: as of `backbone`.
    head: a name of `HEADS`; None: the network's own.
    dtype: of the computation, such as `jnp.bfloat16`; parameters and logits are float32.
    options: as of `backbone`; `width`, `norm` and `momentum` are the head's too.

  Raises:
    ValueError: no such network or head, with the nearest name; num_classes < 1; a head that needs
      features which the network does not have.
    TypeError: an option that the network does not have.
  """
  _check_classes(num_classes)
  parts = network(name)
  trunk = backbone(parts.backbone, pool, dtype=dtype, **{**parts.options, **options})
  top, feature = lookup(head or parts.head, HEADS, "head")(trunk, num_classes)
  return Segmenter(trunk, top, feature)


def network(name: str) -> Segmentation:
  """What the segmenter `name` is made of: its backbone's name, its head's, its options.

  Raises:
    ValueError: no such network, with the nearest name.
  """
  return lookup(name, NETWORKS, "network")


def synchronised(model: Segmenter, axis_name: str | None) -> Segmenter:
  """The model with the statistics of "sync" batch norm taken over the devices of `jax.pmap`'s axis."""
  parts = {
    part: getattr(model, part).clone(axis_name=axis_name)
    for part in ("backbone", "head")
    if hasattr(getattr(model, part), "axis_name")
  }
  return model.clone(**parts)


def _check_classes(num_classes: int) -> None:
  if num_classes < 1:
    raise ValueError(f"num_classes: expected at least 1, got {num_classes}")

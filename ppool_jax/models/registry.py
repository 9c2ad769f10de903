"""Backbones, heads and networks by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn

from ppool_jax.models.backbones import VGG, VGG20M, Backbone, InceptionV2, ResNet, Xception
from ppool_jax.models.heads import ASPP, FCN8s, FullyConvolutionalHead, LinearHead

_VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


class BackboneSpec(NamedTuple):
  """A backbone: its class, its options, and further options of its published classifier."""

  module: type[Backbone]
  options: Mapping[str, Any]
  classifier_options: Mapping[str, Any] = {}


class NetworkSpec(NamedTuple):
  """A segmentation network: the names of its backbone and head, and further options of the backbone."""

  backbone: str
  head: str
  options: Mapping[str, Any] = {}


BACKBONES: dict[str, BackboneSpec] = {
  # As in the paper's Table 1: pool5 has stride 1, so the output stride is 16.
  "vgg16": BackboneSpec(
    VGG, {"stages": _VGG16, "pool_strides": (2, 2, 2, 2, 2), "output_stride": 16}, {"output_stride": 32}
  ),
  "vgg16_20m": BackboneSpec(VGG20M, {"output_stride": 16}),
  "resnet50": BackboneSpec(ResNet, {}),
  "inceptionv2": BackboneSpec(InceptionV2, {}),
  "xception": BackboneSpec(Xception, {}),
  # For the quick start and for tests: 100 times smaller, trains from scratch in minutes, output stride 4.
  # It has no pool of stride 1, which took a sixth of the time and changed mIoU by 0.3 points (one run each).
  "vgg_mini": BackboneSpec(
    VGG, {"stages": ((16, 2), (32, 2), (64, 3)), "pool_strides": (2, 2, None), "batch_norm": True}
  ),
}

NETWORKS: dict[str, NetworkSpec] = {
  "vgg16": NetworkSpec("vgg16", "linear"),
  "resnet50": NetworkSpec("resnet50", "linear"),
  "vgg16_largefov": NetworkSpec("vgg16_20m", "linear"),
  "inceptionv2_fcn8s": NetworkSpec("inceptionv2", "fcn8s"),
  "xception_deeplabv3": NetworkSpec("xception", "aspp", {"output_stride": 16, "multi_grid": (1, 2, 4)}),
  "vgg_mini": NetworkSpec("vgg_mini", "linear"),
}


def _linear(backbone: Backbone, num_classes: int) -> tuple[nn.Module, str]:
  return LinearHead(num_classes, dtype=backbone.dtype), backbone.last_feature


def _fully_convolutional(backbone: Backbone, num_classes: int) -> tuple[nn.Module, str]:
  head = FullyConvolutionalHead(num_classes, backbone.channels(1024), dtype=backbone.dtype)
  return head, backbone.last_feature


def _aspp(backbone: Backbone, num_classes: int) -> tuple[nn.Module, str]:
  rates = tuple(rate * 16 // backbone.grids[backbone.last_feature].stride for rate in (6, 12, 18))
  shared = {name: getattr(backbone, name) for name in ("width", "norm", "momentum", "dtype")}
  return ASPP(num_classes=num_classes, rates=rates, **shared), backbone.last_feature


def _fcn8s(
  backbone: Backbone, num_classes: int, upsampling: str = "bilinear"
) -> tuple[nn.Module, tuple[str, ...]]:
  last = {grid.stride: name for name, grid in backbone.grids.items()}  # the last feature of each stride
  if not {8, 16, 32} <= set(last):
    strides = ", ".join(map(str, sorted(last)))
    raise ValueError(f"head: 'fcn8s' expects features at strides 8, 16 and 32, the network has {strides}")
  names = tuple(last[stride] for stride in (8, 16, 32))
  grids = tuple(backbone.grids[name] for name in names)
  return FCN8s(num_classes, grids, upsampling, dtype=backbone.dtype), names


HEADS: dict[str, Callable[[Backbone, int], tuple[nn.Module, str | tuple[str, ...]]]] = {
  "linear": _linear,
  "fc": _fully_convolutional,
  "aspp": _aspp,
  "fcn8s": _fcn8s,
  "fcn8s_learned": functools.partial(_fcn8s, upsampling="learned"),
}
"""Functions from a backbone and a number of classes to a head and the names of the features that it reads."""

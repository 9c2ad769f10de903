"""The names of networks, backbones and heads."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from ppool_jax.models.backbones.inception import InceptionV2
from ppool_jax.models.backbones.resnet import ResNet
from ppool_jax.models.backbones.vgg import VGG
from ppool_jax.models.backbones.vgg16_20m import VGG20M
from ppool_jax.models.backbones.xception import Xception
from ppool_jax.models.heads.aspp import ASPP
from ppool_jax.models.heads.classifiers import FullyConvolutionalHead, LinearHead
from ppool_jax.models.heads.fcn8s import FCN8s
from ppool_jax.models.network import Network

_VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


class Backbone(NamedTuple):
  """A trunk: its class, its options, and those that its published classifier has instead."""

  module: type[Network]
  options: Mapping[str, Any]
  classifier: Mapping[str, Any] = {}


class Segmentation(NamedTuple):
  """A network of the paper: a trunk, its options there, and its head."""

  backbone: str
  head: str
  options: Mapping[str, Any] = {}


BACKBONES = {
  # As in the paper's Table 1: pool5 keeps its input's resolution, the overall stride is 16.
  "vgg16": Backbone(
    VGG, {"stages": _VGG16, "pool_strides": (2, 2, 2, 2, 2), "output_stride": 16}, {"output_stride": 32}
  ),
  "vgg16_20m": Backbone(VGG20M, {"output_stride": 16}),
  "resnet50": Backbone(ResNet, {}),
  "inceptionv2": Backbone(InceptionV2, {}),
  "xception": Backbone(Xception, {}),
  # For the quick start and for tests: 100 times smaller, trains from scratch in minutes. Stride 4; no pool
  # at stride 1, which cost a sixth of the time and moved mIoU by 0.3 points, one run each.
  "vgg_mini": Backbone(
    VGG, {"stages": ((16, 2), (32, 2), (64, 3)), "pool_strides": (2, 2, None), "batch_norm": True}
  ),
}

NETWORKS = {
  "vgg16": Segmentation("vgg16", "linear"),
  "resnet50": Segmentation("resnet50", "linear"),
  "vgg16_largefov": Segmentation("vgg16_20m", "linear"),
  "inceptionv2_fcn8s": Segmentation("inceptionv2", "fcn8s"),
  "xception_deeplabv3": Segmentation("xception", "aspp", {"output_stride": 16, "multi_grid": (1, 2, 4)}),
  "vgg_mini": Segmentation("vgg_mini", "linear"),
}


def _linear(trunk: Network, num_classes: int):
  return LinearHead(num_classes, dtype=trunk.dtype), trunk.last


def _fully_convolutional(trunk: Network, num_classes: int):
  return FullyConvolutionalHead(num_classes, trunk.channels(1024), dtype=trunk.dtype), trunk.last


def _aspp(trunk: Network, num_classes: int):
  rates = tuple(rate * 16 // trunk.grids[trunk.last].stride for rate in (6, 12, 18))
  shared = {name: getattr(trunk, name) for name in ("width", "norm", "momentum", "dtype")}
  return ASPP(num_classes=num_classes, rates=rates, **shared), trunk.last


def _fcn8s(trunk: Network, num_classes: int, upsampling: str = "bilinear"):
  # The last, most abstract feature of each stride.
  last = {grid.stride: name for name, grid in trunk.grids.items()}
  if not {8, 16, 32} <= set(last):
    strides = ", ".join(map(str, sorted(last)))
    raise ValueError(f"head: 'fcn8s' expects features at strides 8, 16 and 32, the network has {strides}")
  names = tuple(last[stride] for stride in (8, 16, 32))
  grids = tuple(trunk.grids[name] for name in names)
  return FCN8s(num_classes, grids, upsampling, dtype=trunk.dtype), names


# Each makes, for a trunk and a number of classes, the head and the names of the features that it reads.
HEADS = {
  "linear": _linear,
  "fc": _fully_convolutional,
  "aspp": _aspp,
  "fcn8s": _fcn8s,
  "fcn8s_learned": functools.partial(_fcn8s, upsampling="learned"),
}

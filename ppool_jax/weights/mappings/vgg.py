"""Key mappings of VGG-16 and VGG16-20M.

Keras: `vgg16_weights_tf_dim_ordering_tf_kernels[_notop].h5` of keras.applications, converted from the
VGG team's Caffe model. torchvision: `vgg16-*.pth`, trained from scratch. A state dict with torchvision's
keys and Caffe's weights cannot be distinguished from it and gets torchvision's preprocessing. Caffe: the VGG
team's own file, and DeepLab's `vgg16_20M.caffemodel`, which has a part of its weights.
"""

from __future__ import annotations

from ppool_jax.weights.mappings.key_mapping import KeyMapping, ParamSpec
from ppool_jax.weights.mappings.layouts import (
  caffe_conv,
  caffe_dense,
  dense_as_conv,
  keras_conv,
  keras_dense,
  torch_conv,
  torch_dense,
)
from ppool_jax.weights.preprocess import CAFFE, TORCHVISION

# Channels and number of convolutions of each stage.
_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def _convolutions() -> list[tuple[int, int, int, int]]:
  """(stage, number in the stage, input channels, output channels) of every convolution."""
  before = (3, *(channels for channels, _ in _STAGES))
  return [
    (stage, number, before[stage - 1] if number == 1 else channels, channels)
    for stage, (channels, depth) in enumerate(_STAGES, 1)
    for number in range(1, depth + 1)
  ]


def _keras() -> tuple[ParamSpec, ...]:
  params = []
  for stage, number, inputs, outputs in _convolutions():
    layer = f"block{stage}_conv{number}"
    params += keras_conv(f"conv{stage}_{number}", layer, (3, 3, inputs, outputs), keras1=True)
  params += dense_as_conv(keras_conv("fc6", "fc1", (7, 7, 512, 4096), keras1=True))
  params += dense_as_conv(keras_conv("fc7", "fc2", (1, 1, 4096, 4096), keras1=True))
  return (*params, *keras_dense("predictions", 4096, keras1=True))


def _torchvision() -> tuple[ParamSpec, ...]:
  """`features.<index>.weight`, where the index also counts ReLUs and pools."""
  params, index = [], 0
  for stage, number, inputs, outputs in _convolutions():
    params += torch_conv(f"conv{stage}_{number}", f"features.{index}", (3, 3, inputs, outputs))
    index += 3 if number == _STAGES[stage - 1][1] else 2
  params += dense_as_conv(torch_conv("fc6", "classifier.0", (7, 7, 512, 4096)))
  params += dense_as_conv(torch_conv("fc7", "classifier.3", (1, 1, 4096, 4096)))
  return (*params, *torch_dense("classifier.6", inputs=4096))


def _caffe_backbone() -> list[ParamSpec]:
  names = ((f"conv{s}_{i}", (3, 3, inputs, outputs)) for s, i, inputs, outputs in _convolutions())
  return [param for name, shape in names for param in caffe_conv(name, name, shape)]


def _caffe() -> tuple[ParamSpec, ...]:
  params = _caffe_backbone()
  params += dense_as_conv(caffe_conv("fc6", "fc6", (7, 7, 512, 4096)))
  params += dense_as_conv(caffe_conv("fc7", "fc7", (1, 1, 4096, 4096)))
  return (*params, *caffe_dense("fc8", inputs=4096))


def _caffe_20m() -> tuple[ParamSpec, ...]:
  """fc6 and fc7 are convolutions; the classifier, `fc8_<data set>` in DeepLab's file, is ignored."""
  params = _caffe_backbone()
  params += caffe_conv("fc6", "fc6", (3, 3, 512, 1024))
  params += caffe_conv("fc7", "fc7", (1, 1, 1024, 1024))
  return tuple(params)


VGG16 = (
  KeyMapping("keras", _keras(), r"", CAFFE),
  KeyMapping("torchvision", _torchvision(), r"", TORCHVISION),
  KeyMapping("caffe", _caffe(), r"", CAFFE),
)
VGG16_20M = (KeyMapping("caffe", _caffe_20m(), r"fc8[^/]*/\d", CAFFE),)

"""What files call the layers of VGG-16 and of VGG16-20M.

Keras: `vgg16_weights_tf_dim_ordering_tf_kernels[_notop].h5` of keras.applications, converted from the
VGG team's Caffe model. torchvision: `vgg16-*.pth`, trained anew. A state dict with torchvision's names
and Caffe's weights looks no different and would be given torchvision's preprocessing. Caffe: the VGG
team's own, and DeepLab's `vgg16_20M.caffemodel`, which is cut out of it.
"""

from __future__ import annotations

from ppool_jax.weights.mappings.key_mapping import Entry, Naming
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

# A stage's channels and number of convolutions.
_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def _convolutions() -> list[tuple[int, int, int, int]]:
  """(stage, number in the stage, input channels, output channels) of every convolution."""
  before = (3, *(channels for channels, _ in _STAGES))
  return [
    (stage, number, before[stage - 1] if number == 1 else channels, channels)
    for stage, (channels, depth) in enumerate(_STAGES, 1)
    for number in range(1, depth + 1)
  ]


def _keras() -> tuple[Entry, ...]:
  entries = []
  for stage, number, inputs, outputs in _convolutions():
    layer = f"block{stage}_conv{number}"
    entries += keras_conv(f"conv{stage}_{number}", layer, (3, 3, inputs, outputs), older=True)
  entries += dense_as_conv(keras_conv("fc6", "fc1", (7, 7, 512, 4096), older=True))
  entries += dense_as_conv(keras_conv("fc7", "fc2", (1, 1, 4096, 4096), older=True))
  return (*entries, *keras_dense("predictions", 4096, older=True))


def _torchvision() -> tuple[Entry, ...]:
  """`features.<index>.weight`: the index counts ReLUs and pools too."""
  entries, index = [], 0
  for stage, number, inputs, outputs in _convolutions():
    entries += torch_conv(f"conv{stage}_{number}", f"features.{index}", (3, 3, inputs, outputs))
    index += 3 if number == _STAGES[stage - 1][1] else 2
  entries += dense_as_conv(torch_conv("fc6", "classifier.0", (7, 7, 512, 4096)))
  entries += dense_as_conv(torch_conv("fc7", "classifier.3", (1, 1, 4096, 4096)))
  return (*entries, *torch_dense("classifier.6", inputs=4096))


def _caffe_trunk() -> list[Entry]:
  names = ((f"conv{s}_{i}", (3, 3, inputs, outputs)) for s, i, inputs, outputs in _convolutions())
  return [entry for name, shape in names for entry in caffe_conv(name, name, shape)]


def _caffe() -> tuple[Entry, ...]:
  entries = _caffe_trunk()
  entries += dense_as_conv(caffe_conv("fc6", "fc6", (7, 7, 512, 4096)))
  entries += dense_as_conv(caffe_conv("fc7", "fc7", (1, 1, 4096, 4096)))
  return (*entries, *caffe_dense("fc8", inputs=4096))


def _caffe_20m() -> tuple[Entry, ...]:
  """fc6 and fc7 are convolutions here, and so is the classifier, which DeepLab calls `fc8_<data set>`."""
  entries = _caffe_trunk()
  entries += caffe_conv("fc6", "fc6", (3, 3, 512, 1024))
  entries += caffe_conv("fc7", "fc7", (1, 1, 1024, 1024))
  return tuple(entries)


VGG16 = (
  Naming("keras", _keras(), r"", CAFFE),
  Naming("torchvision", _torchvision(), r"", TORCHVISION),
  Naming("caffe", _caffe(), r"", CAFFE),
)
VGG16_20M = (Naming("caffe", _caffe_20m(), r"fc8[^/]*/\d", CAFFE),)

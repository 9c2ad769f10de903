"""What files of VGG-16 call its 13 convolutions; the dense layers are no part of the trunk.

Keras: `vgg16_weights_tf_dim_ordering_tf_kernels[_notop].h5` of keras.applications, converted from the
VGG team's Caffe model. torchvision: `vgg16-*.pth`, trained anew. A state dict with torchvision's names
and Caffe's weights looks no different and would be given torchvision's preprocessing.
"""

from __future__ import annotations

from ppool_jax.weights.naming import Entry, Naming
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
  """`block1_conv1/kernel` of Keras 2 and 3, `block1_conv1_W_1` of the files of Keras 1; HWIO."""
  entries = []
  for stage, number, inputs, outputs in _convolutions():
    layer, ours = f"block{stage}_conv{number}", f"conv{stage}_{number}"
    kernel, bias = (f"{layer}/kernel", f"{layer}_W_1"), (f"{layer}/bias", f"{layer}_b_1")
    entries.append(Entry(("params", ours, "kernel"), (3, 3, inputs, outputs), kernel, (0, 1, 2, 3)))
    entries.append(Entry(("params", ours, "bias"), (outputs,), bias, (0,)))
  return tuple(entries)


def _torchvision() -> tuple[Entry, ...]:
  """`features.<index>.weight`, OIHW; the index counts ReLUs and pools too."""
  entries, index = [], 0
  for stage, number, inputs, outputs in _convolutions():
    ours = f"conv{stage}_{number}"
    kernel, bias = (f"features.{index}.weight",), (f"features.{index}.bias",)
    entries.append(Entry(("params", ours, "kernel"), (outputs, inputs, 3, 3), kernel, (2, 3, 1, 0)))
    entries.append(Entry(("params", ours, "bias"), (outputs,), bias, (0,)))
    index += 3 if number == _STAGES[stage - 1][1] else 2
  return tuple(entries)


VGG16 = (
  Naming("keras", _keras(), r"(fc1|fc2|predictions)[/_].*", CAFFE),
  Naming("torchvision", _torchvision(), r"classifier\..*", TORCHVISION),
)

"""Key mappings of ResNet-50.

Keras: `resnet50_weights_tf_dim_ordering_tf_kernels[_notop].h5` of keras.applications; Caffe: the
authors' `ResNet-50-model.caffemodel`; both have the strides in the first 1x1 convolutions (v1). torchvision
and timm have them in the 3x3 convolutions (v1.5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ppool_jax.weights.mappings.key_mapping import KeyMapping, ParamSpec
from ppool_jax.weights.mappings.layouts import (
  caffe_conv,
  caffe_dense,
  caffe_norm,
  fold_bias,
  keras_conv,
  keras_dense,
  keras_norm,
  torch_conv,
  torch_dense,
  torch_norm,
)
from ppool_jax.weights.preprocess import CAFFE, TORCHVISION

_DEPTHS = {2: 3, 3: 4, 4: 6, 5: 3}


def _convolutions() -> Iterator[tuple[int, int, str, tuple[int, int, int, int]]]:
  """(stage, block from 0, branch, kernel shape HWIO) of every convolution but conv1."""
  inputs = 64
  for stage, depth in _DEPTHS.items():
    narrow, wide = 64 * 2 ** (stage - 2), 256 * 2 ** (stage - 2)
    for block in range(depth):
      if block == 0:
        yield stage, block, "1", (1, 1, inputs, wide)
      yield stage, block, "2a", (1, 1, inputs, narrow)
      yield stage, block, "2b", (3, 3, narrow, narrow)
      yield stage, block, "2c", (1, 1, narrow, wide)
      inputs = wide


def _params(conv: Callable, norm: Callable, first: tuple[str, str], names: Callable) -> tuple[ParamSpec, ...]:
  """Every convolution, with its bias folded, and every batch norm.

  Args:
    conv, norm: functions of `layouts`.
    first: the file's names of conv1 and its batch norm.
    names: maps (stage, block, branch) to the file's names of a convolution and its batch norm.
  """
  params = [*fold_bias(conv("conv1", first[0], (7, 7, 3, 64)), "norm1"), *norm("norm1", first[1], 64)]
  for stage, block, branch, shape in _convolutions():
    name = f"{stage}{'abcdef'[block]}_branch{branch}"
    conv_layer, norm_layer = names(stage, block, branch)
    params += fold_bias(conv(f"res{name}", conv_layer, shape), f"norm{name}")
    params += norm(f"norm{name}", norm_layer, shape[-1])
  return tuple(params)


def _keras_names(stage: int, block: int, branch: str) -> tuple[str, str]:
  number = {"1": 0, "2a": 1, "2b": 2, "2c": 3}[branch]
  layer = f"conv{stage}_block{block + 1}_{number}"
  return f"{layer}_conv", f"{layer}_bn"


def _torch_names(stage: int, block: int, branch: str) -> tuple[str, str]:
  layer = f"layer{stage - 1}.{block}"
  if branch == "1":
    return f"{layer}.downsample.0", f"{layer}.downsample.1"
  number = {"2a": 1, "2b": 2, "2c": 3}[branch]
  return f"{layer}.conv{number}", f"{layer}.bn{number}"


def _caffe_names(stage: int, block: int, branch: str) -> tuple[str, str]:
  layer = f"res{stage}{'abcdef'[block]}_branch{branch}"
  return layer, layer


RESNET50 = (
  KeyMapping(
    "keras",
    (
      *_params(keras_conv, keras_norm, ("conv1_conv", "conv1_bn"), _keras_names),
      *keras_dense("predictions", 2048),
    ),
    r"",
    CAFFE,
    {"epsilon": 1.001e-5},
  ),
  KeyMapping(
    "torchvision",
    (*_params(torch_conv, torch_norm, ("conv1", "bn1"), _torch_names), *torch_dense("fc", inputs=2048)),
    r".*\.num_batches_tracked",
    TORCHVISION,
    {"v1_5": True},
  ),
  KeyMapping(
    "caffe",
    (
      *_params(caffe_conv, caffe_norm, ("conv1", "conv1"), _caffe_names),
      *caffe_dense("fc1000", inputs=2048),
    ),
    r"",
    CAFFE,
  ),
)

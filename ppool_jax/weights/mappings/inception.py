"""Key mappings of BN-Inception.

Cadene: the port to PyTorch in pretrainedmodels, `bn_inception-52deb4733.pth`. Caffe: the model from which it
was ported, whose convolutions have names such as `inception_3a/3x3_reduce`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ppool_jax.weights.mappings.key_mapping import KeyMapping, ParamSpec
from ppool_jax.weights.mappings.layouts import (
  caffe_conv,
  caffe_dense,
  caffe_norm,
  fold_bias,
  torch_conv,
  torch_dense,
  torch_norm,
)
from ppool_jax.weights.preprocess import BN_INCEPTION

# Channels of each block's input and of 1x1, 3x3_reduce, 3x3, double_3x3_reduce, double_3x3_1, double_3x3_2
# and pool_proj; 0: the block does not have it.
_BLOCKS = {
  "3a": (192, 64, 64, 64, 64, 96, 96, 32),
  "3b": (256, 64, 64, 96, 64, 96, 96, 64),
  "3c": (320, 0, 128, 160, 64, 96, 96, 0),
  "4a": (576, 224, 64, 96, 96, 128, 128, 128),
  "4b": (576, 192, 96, 128, 96, 128, 128, 128),
  "4c": (576, 160, 128, 160, 128, 160, 160, 128),
  "4d": (608, 96, 128, 192, 160, 192, 192, 128),
  "4e": (608, 0, 128, 192, 192, 256, 256, 0),
  "5a": (1056, 352, 192, 320, 160, 224, 224, 128),
  "5b": (1024, 352, 192, 320, 192, 224, 224, 128),
}


def _convolutions() -> Iterator[tuple[str, str, tuple[int, int, int, int]]]:
  """(block or "", layer, kernel shape HWIO) of every convolution."""
  yield "", "conv1_7x7_s2", (7, 7, 3, 64)
  yield "", "conv2_3x3_reduce", (1, 1, 64, 64)
  yield "", "conv2_3x3", (3, 3, 64, 192)
  for name, (inputs, one, reduce, three, double, first, second, projection) in _BLOCKS.items():
    block = f"inception_{name}"
    if one:
      yield block, "1x1", (1, 1, inputs, one)
      yield block, "pool_proj", (1, 1, inputs, projection)
    yield block, "3x3_reduce", (1, 1, inputs, reduce)
    yield block, "3x3", (3, 3, reduce, three)
    yield block, "double_3x3_reduce", (1, 1, inputs, double)
    yield block, "double_3x3_1", (3, 3, double, first)
    yield block, "double_3x3_2", (3, 3, first, second)


def _params(conv: Callable, norm: Callable, names: Callable) -> tuple[ParamSpec, ...]:
  """Every convolution, with its bias folded, and every batch norm.

  Args:
    conv, norm: functions of `layouts`.
    names: maps (block, layer) to the file's names of a convolution and its batch norm.
  """
  params = []
  for block, layer, shape in _convolutions():
    name = f"{block}_{layer}".removeprefix("_")
    conv_layer, norm_layer = names(block, layer)
    params += fold_bias(conv(name, conv_layer, shape), f"{name}_norm")
    params += norm(f"{name}_norm", norm_layer, shape[-1])
  return tuple(params)


def _cadene_names(block: str, layer: str) -> tuple[str, str]:
  name = f"{block}_{layer}".removeprefix("_")
  return name, f"{name}_bn"


def _caffe_names(block: str, layer: str) -> tuple[str, str]:
  """`conv1/7x7_s2`, `inception_3a/3x3_reduce`; the reader names a batch norm after its convolution."""
  name = f"{block}/{layer}" if block else layer.replace("_", "/", 1)
  return name, name


INCEPTIONV2 = (
  KeyMapping(
    "cadene",
    (*_params(torch_conv, torch_norm, _cadene_names), *torch_dense("last_linear", inputs=1024)),
    r".*\.num_batches_tracked",
    BN_INCEPTION,
  ),
  KeyMapping(
    "caffe",
    (*_params(caffe_conv, caffe_norm, _caffe_names), *caffe_dense("fc", "fc1", inputs=1024)),
    r"",
    BN_INCEPTION,
  ),
)

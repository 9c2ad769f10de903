"""What files call the layers of BN-Inception.

Cadene: the port to PyTorch in pretrainedmodels, `bn_inception-52deb4733.pth`. Caffe: the model that it
was ported from, whose convolutions are called `inception_3a/3x3_reduce`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ppool_jax.weights.mappings.key_mapping import Entry, Naming
from ppool_jax.weights.mappings.layouts import (
  caffe_conv,
  caffe_dense,
  caffe_norm,
  folded,
  torch_conv,
  torch_dense,
  torch_norm,
)
from ppool_jax.weights.preprocess import BN_INCEPTION

# Of each block the channels of its input and of 1x1, 3x3_reduce, 3x3, double_3x3_reduce, double_3x3_1,
# double_3x3_2 and pool_proj; 0: there is none.
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


def _units() -> Iterator[tuple[str, str, tuple[int, int, int, int]]]:
  """(block or "", layer, kernel HWIO) of every convolution."""
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


def _entries(conv: Callable, norm: Callable, names: Callable) -> tuple[Entry, ...]:
  """Every convolution, its bias folded, and every batch norm.

  Args:
    conv, norm: of `layouts`.
    names: (block, layer) to what the file calls a convolution and its batch norm.
  """
  entries = []
  for block, layer, shape in _units():
    ours = f"{block}_{layer}".removeprefix("_")
    conv_name, norm_name = names(block, layer)
    entries += folded(conv(ours, conv_name, shape), f"{ours}_norm")
    entries += norm(f"{ours}_norm", norm_name, shape[-1])
  return tuple(entries)


def _cadene_names(block: str, layer: str) -> tuple[str, str]:
  name = f"{block}_{layer}".removeprefix("_")
  return name, f"{name}_bn"


def _caffe_names(block: str, layer: str) -> tuple[str, str]:
  """`conv1/7x7_s2`, `inception_3a/3x3_reduce`; the reader calls a batch norm after its convolution."""
  name = f"{block}/{layer}" if block else layer.replace("_", "/", 1)
  return name, name


INCEPTIONV2 = (
  Naming(
    "cadene",
    (*_entries(torch_conv, torch_norm, _cadene_names), *torch_dense("last_linear", inputs=1024)),
    r".*\.num_batches_tracked",
    BN_INCEPTION,
  ),
  Naming(
    "caffe",
    (*_entries(caffe_conv, caffe_norm, _caffe_names), *caffe_dense("fc", "fc1", inputs=1024)),
    r"",
    BN_INCEPTION,
  ),
)

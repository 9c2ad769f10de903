"""Reads Caffe's .caffemodel files, old and new; batch norms are named after their convolutions.

The names of BatchNorm and Scale layers follow no convention ("bn2a_branch1", "conv1/bn"), so the reader uses
the graph: the four arrays of the batch norm after a convolution "X" are "X/bn/mean", "X/bn/variance",
"X/bn/scale" and "X/bn/bias". The key of every other array is "<layer>/<index of its blob>", in Caffe's layout
(kernels OIHW).
"""

from __future__ import annotations

import math
import pathlib
from typing import NamedTuple

import numpy as np

from ppool_jax.weights.readers import caffe_proto

# The layer types of old files (V1LayerParameter.LayerType) that the reader distinguishes.
_OLD_TYPES = {4: "Convolution", 14: "InnerProduct", 22: "Split"}
# The number of dimensions of a layer's first blob.
_DIMENSIONS = {"Convolution": 4, "Deconvolution": 4, "InnerProduct": 2}


class _Layer(NamedTuple):
  name: str
  type: str
  bottom: tuple[str, ...]
  top: tuple[str, ...]
  blobs: list[np.ndarray]


class _Origin(NamedTuple):
  """A blob of activations that is the output of a convolution, with or without its batch norm."""

  convolution: str
  normalized: bool


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Every array of a model by its key.

  Blobs of old files have four dimensions; leading dimensions are removed where the layer has fewer today: a
  bias is [n], the weights of an InnerProduct are [outputs, inputs]. Arrays of batch norms are [n]; mean and
  variance are divided by the scale factor that BatchNorm stores with them.

  Raises:
    ValueError: no weights; a blob whose numbers do not fill its shape; two arrays with one key.
    google.protobuf.message.DecodeError: the bytes are not a protobuf message, or are truncated.
  """
  arrays: dict[str, np.ndarray] = {}
  origins: dict[str, _Origin | None] = {}
  for layer in _layers(path.read_bytes()):
    for name, array in _keyed(layer, origins).items():
      if name in arrays:
        raise ValueError(f"two arrays have the name {name!r}")
      arrays[name] = array
  if not arrays:
    raise ValueError("no layer with weights")
  return arrays


def _layers(content: bytes) -> list[_Layer]:
  net = caffe_proto.parse(content)
  layers = []
  for layer in [*net.layers, *net.layer]:
    kind = layer.type if isinstance(layer.type, str) else _OLD_TYPES.get(layer.type, str(layer.type))
    blobs = [
      _array(f"{layer.name}/{index}", blob, 1 if index else _DIMENSIONS.get(kind, 1))
      for index, blob in enumerate(layer.blobs)
    ]
    layers.append(_Layer(layer.name, kind, tuple(layer.bottom), tuple(layer.top), blobs))
  return layers


def _array(name: str, blob, dimensions: int) -> np.ndarray:
  data = np.array(blob.data, np.float32) if len(blob.data) else np.array(blob.double_data, np.float64)
  if blob.HasField("shape"):
    shape = list(blob.shape.dim)
  else:
    shape = [blob.num, blob.channels, blob.height, blob.width]
    while len(shape) > dimensions and shape[0] == 1:
      shape.pop(0)
  if min(shape, default=1) < 0 or math.prod(shape) != data.size:
    raise ValueError(f"{name}: expected {math.prod(shape)} numbers for the shape {shape}, got {data.size}")
  return data.reshape(shape)


def _keyed(layer: _Layer, origins: dict[str, _Origin | None]) -> dict[str, np.ndarray]:
  """A layer's arrays by key; updates `origins`, which describes the blobs that the layers so far wrote.

  Layers often work in place, on a blob of one name, so the contents of a blob change from layer to layer.
  """
  before = origins.get(layer.bottom[0]) if layer.bottom else None
  norm = _batch_norm(layer, before)
  after = None
  if before and norm and layer.type == "BatchNorm":
    after = _Origin(before.convolution, normalized=True)
  elif layer.type == "Split":  # Caffe inserts these where several layers read a blob.
    after = before
  elif layer.type == "Convolution":
    after = _Origin(layer.name, normalized=False)
  for top in layer.top:
    origins[top] = after
  return norm or {f"{layer.name}/{index}": blob for index, blob in enumerate(layer.blobs)}


def _batch_norm(layer: _Layer, before: _Origin | None) -> dict[str, np.ndarray]:
  """The arrays of a layer that is part of a convolution's batch norm, by key; empty for other layers."""
  if not before:
    return {}
  blobs, kinds = [blob.reshape(-1) for blob in layer.blobs], ()
  if layer.type == "BatchNorm" and len(blobs) == 3 and not before.normalized:
    # Weighted sums, followed by the sum of their weights, by which Caffe divides at run time.
    factor = blobs[2][0]
    blobs = [blob / factor if factor else np.zeros_like(blob) for blob in blobs[:2]]
    kinds = ("mean", "variance")
  elif layer.type == "Scale" and before.normalized:
    kinds = ("scale", "bias")
  elif layer.type == "BN" and len(blobs) == 4 and not before.normalized:  # Of yjxiong's Caffe.
    kinds = ("scale", "bias", "mean", "variance")
  # A Scale may lack the bias, and has no blobs if it has two bottoms.
  return {f"{before.convolution}/bn/{kind}": blob for kind, blob in zip(kinds, blobs, strict=False)}

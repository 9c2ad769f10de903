"""Caffe's .caffemodel files, old and new; batch norms are named after the convolutions they follow.

Authors name BatchNorm and Scale layers as they like ("bn2a_branch1", "conv1/bn"), so the graph decides:
the four arrays of a normalised convolution "X" are "X/bn/mean", "X/bn/variance", "X/bn/scale" and
"X/bn/bias". Every other array is "<layer>/<index of its blob>", in Caffe's layout (kernels OIHW).
"""

from __future__ import annotations

import math
import pathlib
from typing import NamedTuple

import numpy as np

from ppool_jax.weights.readers import caffe_proto

# Of the types of old files (V1LayerParameter.LayerType), those that matter here.
_OLD_TYPES = {4: "Convolution", 14: "InnerProduct", 22: "Split"}
# The dimensions of a layer's first blob.
_DIMENSIONS = {"Convolution": 4, "Deconvolution": 4, "InnerProduct": 2}


class _Layer(NamedTuple):
  name: str
  type: str
  bottom: tuple[str, ...]
  top: tuple[str, ...]
  blobs: list[np.ndarray]


class _Origin(NamedTuple):
  """What a blob of activations is: a convolution's output, normalised or not yet."""

  convolution: str
  normalised: bool


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Every array of a model, batch norms under their convolutions' names.

  Blobs of old files have four dimensions, the leading ones of which are left out where a layer has
  fewer today: a bias is [n], an InnerProduct's weights are [outputs, inputs]. Arrays of batch norms are
  [n]; mean and variance are divided by the scale factor that BatchNorm keeps beside them.

  Raises:
    ValueError: no weights; a blob whose numbers do not fill its shape; two arrays of one name.
    google.protobuf.message.DecodeError: the bytes are no protobuf message, or end within one.
  """
  arrays, origins = {}, {}
  for layer in _layers(path.read_bytes()):
    for name, array in _named(layer, origins).items():
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


def _named(layer: _Layer, origins: dict[str, _Origin]) -> dict[str, np.ndarray]:
  """A layer's arrays by name; `origins`, of the blobs so far, is brought past this layer.

  Layers often work in place, under one blob's name: the order of the layers tells what it holds.
  """
  before = origins.get(layer.bottom[0]) if layer.bottom else None
  norm = _batch_norm(layer, before)
  after = None
  if norm and layer.type == "BatchNorm":
    after = _Origin(before.convolution, normalised=True)
  elif layer.type == "Split":  # Caffe adds these where a blob has several readers.
    after = before
  elif layer.type == "Convolution":
    after = _Origin(layer.name, normalised=False)
  for top in layer.top:
    origins[top] = after
  return norm or {f"{layer.name}/{index}": blob for index, blob in enumerate(layer.blobs)}


def _batch_norm(layer: _Layer, before: _Origin | None) -> dict[str, np.ndarray]:
  """The layer's arrays under the name of the convolution that it normalises; none if it does not."""
  if not before:
    return {}
  blobs, kinds = [blob.reshape(-1) for blob in layer.blobs], ()
  if layer.type == "BatchNorm" and len(blobs) == 3 and not before.normalised:
    # Sums, with the sum of their own weights: Caffe divides when it runs.
    factor = blobs[2][0]
    blobs = [blob / factor if factor else np.zeros_like(blob) for blob in blobs[:2]]
    kinds = ("mean", "variance")
  elif layer.type == "Scale" and before.normalised:
    kinds = ("scale", "bias")
  elif layer.type == "BN" and len(blobs) == 4 and not before.normalised:  # Of yjxiong's Caffe.
    kinds = ("scale", "bias", "mean", "variance")
  # A Scale may have no bias, and with two bottoms has no blobs.
  return {f"{before.convolution}/bn/{kind}": blob for kind, blob in zip(kinds, blobs, strict=False)}

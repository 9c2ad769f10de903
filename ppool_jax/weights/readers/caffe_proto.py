"""The protobuf messages of Caffe that contain weights, declared at run time.

The field numbers are those of BVLC Caffe's src/caffe/proto/caffe.proto. protobuf skips all other fields of a
file. Parsing executes no code from the file.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Number and type of each field; "[]" marks a repeated field, a capital letter one of these messages.
_MESSAGES = {
  "BlobShape": {"dim": (1, "int64[]")},
  "BlobProto": {
    "num": (1, "int32"),
    "channels": (2, "int32"),
    "height": (3, "int32"),
    "width": (4, "int32"),
    "data": (5, "float[]"),
    "shape": (7, "BlobShape"),
    "double_data": (8, "double[]"),
  },
  "LayerParameter": {
    "name": (1, "string"),
    "type": (2, "string"),
    "bottom": (3, "string[]"),
    "top": (4, "string[]"),
    "blobs": (7, "BlobProto[]"),
  },
  # Caffe until 2014, as in VGG_ILSVRC_16_layers.caffemodel; the type of a layer is an enumeration.
  "V1LayerParameter": {
    "bottom": (2, "string[]"),
    "top": (3, "string[]"),
    "name": (4, "string"),
    "type": (5, "int32"),
    "blobs": (6, "BlobProto[]"),
  },
  "NetParameter": {
    "name": (1, "string"),
    "layers": (2, "V1LayerParameter[]"),
    "layer": (100, "LayerParameter[]"),
  },
}
_FIELD = descriptor_pb2.FieldDescriptorProto


def parse(content: bytes) -> Any:
  """Parses a NetParameter.

  Raises:
    google.protobuf.message.DecodeError: the bytes are not a protobuf message, or are truncated.
  """
  return _NET.FromString(content)


def _net() -> Any:
  """The message class NetParameter."""
  file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
  for message, fields in _MESSAGES.items():
    descriptor = file.message_type.add(name=message)
    for name, (number, kind) in fields.items():
      _declare(descriptor.field.add(name=name, number=number), kind)
  pool = (
    descriptor_pool.DescriptorPool()
  )  # Not the default pool, to which Caffe's own module would add the same names.
  pool.Add(file)
  return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


def _declare(field: Any, kind: str) -> None:
  plain = kind.removesuffix("[]")
  field.label = _FIELD.LABEL_REPEATED if kind.endswith("[]") else _FIELD.LABEL_OPTIONAL
  if plain in _MESSAGES:
    field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".caffe.{plain}"
    return
  field.type = getattr(_FIELD, f"TYPE_{plain.upper()}")
  field.options.packed = kind in ("int64[]", "float[]", "double[]")


_NET = _net()

"""The part of Caffe's protobuf messages that holds weights, described at run time.

The numbers are those of BVLC Caffe's src/caffe/proto/caffe.proto. protobuf skips every other field of a
file, and nothing in these messages is code.
"""

from __future__ import annotations

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# A field's number and type; "[]" is repeated, a capital is one of these messages.
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
  # Of Caffe until 2014, as in VGG_ILSVRC_16_layers.caffemodel: an enumeration says a layer's type.
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


def parse(content: bytes):
  """A NetParameter.

  Raises:
    google.protobuf.message.DecodeError: the bytes are no protobuf message, or end within one.
  """
  return _NET.FromString(content)


def _net():
  file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
  for message, fields in _MESSAGES.items():
    described = file.message_type.add(name=message)
    for name, (number, kind) in fields.items():
      _describe(described.field.add(name=name, number=number), kind)
  pool = descriptor_pool.DescriptorPool()  # Not the process's own, where Caffe's module may be, too.
  pool.Add(file)
  return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


def _describe(field, kind: str):
  plain = kind.removesuffix("[]")
  field.label = _FIELD.LABEL_REPEATED if kind.endswith("[]") else _FIELD.LABEL_OPTIONAL
  if plain in _MESSAGES:
    field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".caffe.{plain}"
    return
  field.type = getattr(_FIELD, f"TYPE_{plain.upper()}")
  field.options.packed = kind in ("int64[]", "float[]", "double[]")


_NET = _net()

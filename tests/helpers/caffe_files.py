"""Encodes Caffe models byte by byte, following the protobuf encoding and Caffe's caffe.proto."""


def varint(number):
  """Seven bits per byte, the lowest first; the high bit marks that more bytes follow."""
  number, content = number % 2**64, b""
  while number > 127:
    content += bytes([number & 127 | 128])
    number >>= 7
  return content + bytes([number])


def field(number, value):
  """A field: an int as a varint, bytes or text with their length."""
  if isinstance(value, int):
    return varint(number << 3) + varint(value)
  value = value.encode() if isinstance(value, str) else value
  return varint(number << 3 | 2) + varint(len(value)) + value


def numbers(array, kind="f"):
  """The contents of a packed field."""
  return array.astype(f"<{'f4' if kind == 'f' else 'f8'}").tobytes()


def blob(array, double=False):
  """A BlobProto with a shape."""
  shape = field(1, b"".join(map(varint, array.shape)))
  return field(7, shape) + (field(8, numbers(array, "d")) if double else field(5, numbers(array)))


def old_blob(array):
  """A BlobProto of four dimensions: num, channels, height, width."""
  shape = (1,) * (4 - array.ndim) + array.shape
  return b"".join(field(i, size) for i, size in enumerate(shape, 1)) + field(5, numbers(array))


def layer(name, kind, bottom, top, *blobs):
  """NetParameter.layer, with a field that the reader ignores (convolution_param)."""
  content = field(1, name) + field(2, kind) + b"".join(field(3, b) for b in bottom.split())
  content += b"".join(field(4, t) for t in top.split()) + b"".join(field(7, b) for b in blobs)
  return field(100, content + field(106, field(1, 64)))


def old_layer(name, kind, bottom, top, *blobs):
  """NetParameter.layers: V1LayerParameter."""
  content = field(2, bottom) + field(3, top) + field(4, name) + field(5, kind)
  return field(2, content + b"".join(field(6, b) for b in blobs) + field(7, b"\0\0\0\0"))

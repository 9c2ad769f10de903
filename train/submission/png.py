"""Reading and writing of label maps as 8-bit PNGs; the header is validated before pixels are decoded."""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

import numpy as np
from PIL import Image

GRAY, PALETTE = 0, 3
_COLOR_TYPES = {GRAY: "gray", 2: "RGB", PALETTE: "palette", 4: "gray with alpha", 6: "RGB with alpha"}

MAX_PIXELS = 2**26
"""Limit of decoded pixels, against decompression bombs: a few kilobytes can declare gigabytes."""

_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


class Header(NamedTuple):
  """A PNG's header (PNG specification, 11.2.1): (height, width), bits per sample, color type."""

  size: tuple[int, int]
  depth: int
  color_type: int

  def __str__(self) -> str:
    return f"{self.depth}-bit {_COLOR_TYPES.get(self.color_type, f'color type {self.color_type}')}"


def read_header(content: bytes) -> Header:
  """Reads the header of a PNG file.

  Raises:
    ValueError: not a PNG.
  """
  if not content.startswith(_START) or len(content) < 26:
    raise ValueError("not a PNG" if content else "empty")
  width, height, depth, color_type = struct.unpack(">IIBB", content[16:26])
  return Header((height, width), depth, color_type)


def read_values(content: bytes) -> tuple[np.ndarray, np.ndarray]:
  """Decodes an 8-bit PNG, grayscale or with a palette.

  Returns:
    The values, uint8 `[H, W]`, and the palette, uint8 `[N, 3]`, with N = 0 for grayscale.

  Raises:
    ValueError: more than `MAX_PIXELS` pixels, truncated, or corrupt.
  """
  height, width = read_header(content).size
  if height * width > MAX_PIXELS:
    raise ValueError(f"{height} x {width} pixels, more than any image of these benchmarks")
  try:
    with Image.open(io.BytesIO(content)) as image:
      image.verify()  # checks checksums and the end of the file, which load() does not
    with Image.open(io.BytesIO(content)) as image:
      return np.array(image), np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)
  except (OSError, SyntaxError, ValueError) as error:
    raise ValueError(f"corrupt ({error})") from error


def encode(values: np.ndarray, palette: np.ndarray | None) -> bytes:
  """Encodes a label map, uint8 `[H, W]`, as an 8-bit PNG.

  Args:
    palette: RGB uint8 `[256, 3]`; Pillow writes fewer bits per pixel for a shorter one. None for
      grayscale.
  """
  image = Image.fromarray(values)
  if palette is not None:
    image.putpalette(palette.tobytes())
  file = io.BytesIO()
  image.save(file, "PNG", optimize=True)
  return file.getvalue()

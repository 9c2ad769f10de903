"""PNGs of label maps: what the header says, before anything is unpacked; the values; and writing one."""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

import numpy as np
from PIL import Image

GREY, PALETTE = 0, 3
COLOURS = {GREY: "grey", 2: "RGB", PALETTE: "palette", 4: "grey with alpha", 6: "RGB with alpha"}

LARGEST = 2**26
"""Pixels of the largest image that is unpacked; a few kilobytes can claim to be gigabytes."""

_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


class Header(NamedTuple):
  """What a PNG says of itself (PNG specification, 11.2.1): its size, bits a sample, colour type."""

  size: tuple[int, int]
  depth: int
  colour: int

  def __str__(self) -> str:
    return f"{self.depth}-bit {COLOURS.get(self.colour, f'colour type {self.colour}')}"


def read_header(content: bytes) -> Header:
  """The header of a PNG file.

  Raises:
    ValueError: not a PNG.
  """
  if not content.startswith(_START) or len(content) < 26:
    raise ValueError("not a PNG" if content else "empty")
  width, height, depth, colour = struct.unpack(">IIBB", content[16:26])
  return Header((height, width), depth, colour)


def read_values(content: bytes) -> tuple[np.ndarray, np.ndarray]:
  """The values uint8 `[H, W]` of an 8-bit PNG, grey or with a palette, and its palette uint8 `[N, 3]`.

  N is 0 of a grey one.

  Raises:
    ValueError: more than `LARGEST` pixels, truncated, or damaged.
  """
  height, width = read_header(content).size
  if height * width > LARGEST:
    raise ValueError(f"{height} x {width} pixels, more than any image of these benchmarks")
  try:
    with Image.open(io.BytesIO(content)) as image:
      image.verify()  # the checksums and the end, which load() does not look at
    with Image.open(io.BytesIO(content)) as image:
      return np.array(image), np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)
  except (OSError, SyntaxError, ValueError) as error:
    raise ValueError(f"damaged ({error})") from error


def encode(values: np.ndarray, palette: np.ndarray | None) -> bytes:
  """An 8-bit PNG of `values`, uint8 `[H, W]`.

  Args:
    palette: RGB uint8 `[256, 3]`, all of them: with fewer, Pillow writes fewer bits; None: a grey one.
  """
  image = Image.fromarray(values)
  if palette is not None:
    image.putpalette(palette.tobytes())
  file = io.BytesIO()
  image.save(file, "PNG", optimize=True)
  return file.getvalue()

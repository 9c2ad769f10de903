"""Image and label files: reading them, and saying which one is wrong."""

from __future__ import annotations

import io
import pathlib

import numpy as np
from PIL import Image, UnidentifiedImageError

from train.data.preparation.archives import Member

File = pathlib.Path | Member

_PNG_START = b"\x89PNG\r\n\x1a\n"
_IMAGE_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def read_image(file: File) -> np.ndarray:
  """RGB uint8 `[H, W, 3]`.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not an image, a truncated one, or one of 16 bits; the file is named.
  """
  image = _open(file)
  if image.mode not in _IMAGE_MODES:
    raise ValueError(
      f"{file}: expected an image of 8 bits a channel, got mode {image.mode}; convert it first"
    )
  return np.asarray(image.convert("RGB"))


def read_label(file: File) -> np.ndarray:
  """The values of a label map, uint8 `[H, W]`; of a palette image the indices, not the colours.

  Raises:
    FileNotFoundError, ValueError: as `read_image`, and for an image with more than one channel.
  """
  return np.asarray(open_label(file, ("L", "P")))


def read_grey_label(file: File) -> np.ndarray:
  """As `read_label`, of a data set whose labels have no palette: one with a palette is another's."""
  return np.asarray(open_label(file, ("L",)))


def open_label(file: File, modes: tuple[str, ...]) -> Image.Image:
  """The label map itself, in one of Pillow's `modes`.

  Raises:
    FileNotFoundError, ValueError: as `read_image`, and for another mode.
  """
  image = _open(file)
  if image.mode not in modes:
    raise ValueError(
      f"{file}: expected a label map of one 8-bit channel (mode {' or '.join(modes)}), "
      f"got mode {image.mode}; take the label file as the data set's publisher made it"
    )
  return image


def rgb_file(file: File) -> str | io.BytesIO:
  """The file itself, unless its pixels are not RGB: palettes and transparency are resolved here."""
  with Image.open(io.BytesIO(file.read_bytes())) as image:
    if image.mode != "RGB":
      return png_file(read_image(file))
  return io.BytesIO(file.read_bytes()) if isinstance(file, Member) else str(file)


def png_file(array: np.ndarray) -> io.BytesIO:
  """The array, uint8 `[H, W]` or `[H, W, 3]`, as a PNG in memory."""
  file = io.BytesIO()
  Image.fromarray(array).save(file, "PNG")
  file.seek(0)
  return file


def _open(file: File) -> Image.Image:
  try:
    content = file.read_bytes()
  except (FileNotFoundError, NotADirectoryError):
    raise FileNotFoundError(f"{file}: no such file") from None
  # Pillow makes 8 bits of a 16-bit RGB file without a word, and other values of a 16-bit grey one.
  if content.startswith(_PNG_START) and content[24:25] == b"\x10":
    raise ValueError(f"{file}: expected 8 bits a channel, got a 16-bit PNG; convert it first")
  try:
    with Image.open(io.BytesIO(content)) as image:
      image.verify()  # a PNG's checksums and its end, which load() does not look at
    with Image.open(io.BytesIO(content)) as image:
      image.load()
      return image
  except UnidentifiedImageError:
    reason = "it is empty" if not content else "it is none that Pillow knows"
    raise ValueError(f"{file}: not a readable image ({reason}); copy or download it again") from None
  except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
    raise ValueError(f"{file}: not a readable image ({error}); copy or download it again") from error

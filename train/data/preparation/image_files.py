"""Reading and writing of image and label files, with errors that name the file."""

from __future__ import annotations

import io
import pathlib

import numpy as np
from PIL import Image, UnidentifiedImageError

from train.data.preparation.archives import Member

File = pathlib.Path | Member

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IMAGE_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def read_image(file: File) -> np.ndarray:
  """Reads an image as RGB, uint8 `[H, W, 3]`.

  Raises:
    FileNotFoundError: the file does not exist.
    ValueError: not an image, a truncated one, or one of 16 bits; the message names the file.
  """
  image = _open(file)
  if image.mode not in _IMAGE_MODES:
    raise ValueError(
      f"{file}: expected an image of 8 bits per channel, got mode {image.mode}; convert it first"
    )
  return np.asarray(image.convert("RGB"))


def read_label(file: File) -> np.ndarray:
  """Reads the values of a label map, uint8 `[H, W]`; of a palette image the indices, not the colors.

  Raises:
    FileNotFoundError, ValueError: as `read_image`, and for an image with more than one channel.
  """
  return np.asarray(open_label(file, ("L", "P")))


def read_gray_label(file: File) -> np.ndarray:
  """As `read_label`, but rejects palette images, which a data set with grayscale labels does not contain."""
  return np.asarray(open_label(file, ("L",)))


def open_label(file: File, modes: tuple[str, ...]) -> Image.Image:
  """Opens a label map whose Pillow mode is one of `modes`.

  Raises:
    FileNotFoundError, ValueError: as `read_image`, and for another mode.
  """
  image = _open(file)
  if image.mode not in modes:
    raise ValueError(
      f"{file}: expected a label map of one 8-bit channel (mode {' or '.join(modes)}), "
      f"got mode {image.mode}; use the publisher's original label file"
    )
  return image


def to_rgb_file(file: File) -> str | io.BytesIO:
  """The file unchanged if it is RGB; otherwise a PNG with palette and transparency resolved."""
  with Image.open(io.BytesIO(file.read_bytes())) as image:
    if image.mode != "RGB":
      return encode_png(read_image(file))
  return io.BytesIO(file.read_bytes()) if isinstance(file, Member) else str(file)


def encode_png(array: np.ndarray) -> io.BytesIO:
  """Encodes an array, uint8 `[H, W]` or `[H, W, 3]`, as a PNG in memory."""
  file = io.BytesIO()
  Image.fromarray(array).save(file, "PNG")
  file.seek(0)
  return file


def _open(file: File) -> Image.Image:
  try:
    content = file.read_bytes()
  except (FileNotFoundError, NotADirectoryError):
    raise FileNotFoundError(f"{file}: no such file") from None
  # Pillow silently converts a 16-bit RGB file to 8 bits, and changes the values of a 16-bit gray one.
  if content.startswith(_PNG_SIGNATURE) and content[24:25] == b"\x10":
    raise ValueError(f"{file}: expected 8 bits per channel, got a 16-bit PNG; convert it first")
  try:
    with Image.open(io.BytesIO(content)) as image:
      image.verify()  # checks a PNG's checksums and end, which load() does not
    with Image.open(io.BytesIO(content)) as image:
      image.load()
      return image
  except UnidentifiedImageError:
    reason = "it is empty" if not content else "Pillow does not recognize its format"
    raise ValueError(f"{file}: not a readable image ({reason}); copy or download it again") from None
  except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
    raise ValueError(f"{file}: not a readable image ({error}); copy or download it again") from error

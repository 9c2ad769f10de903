"""Groups images of many sizes into batches of one size, with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

MAX_BUFFERED_BYTES = 2**28
"""Bytes of examples that may be buffered until a batch of their size is full."""


def batches_by_size(
  source, batch_size: int, multiple: int = 0, max_buffered_bytes: int = MAX_BUFFERED_BYTES
) -> Iterator[list[dict]]:
  """Yields every example once, in lists of at most `batch_size` with the same `padded_size`.

  Args:
    multiple: of `padded_size`.
    max_buffered_bytes: bytes of examples to buffer until a batch is full. Beyond them the oldest group is
      yielded as a smaller batch, so memory does not grow with the number of images and sizes.
  """
  groups: dict[tuple, list] = {}
  buffered = 0
  for index in range(len(source)):
    example = source[index]
    # A server's test split has no labels.
    size = padded_size(example.get("label", example.get("image")).shape[:2], multiple)
    groups.setdefault(size, []).append(example)
    buffered += _count_bytes(example)
    while groups and (buffered > max_buffered_bytes or len(groups.get(size, ())) == batch_size):
      full = size if len(groups.get(size, ())) == batch_size else next(iter(groups))
      examples = groups.pop(full)
      buffered -= sum(map(_count_bytes, examples))
      yield examples
  yield from groups.values()


def padded_size(size: tuple[int, int], multiple: int) -> tuple[int, int]:
  """The (height, width) that an image of `size` is padded to: multiples of `multiple`; 0: its own."""
  height, width = (side + -side % multiple if multiple else side for side in size)
  return height, width


def pad_image(image: np.ndarray, size: tuple[int, int], color) -> np.ndarray:
  """Pads an image, uint8 `[h, w, 3]`, below and on the right to `size` with the RGB `color`."""
  canvas = np.empty((*size, 3), np.uint8)
  canvas[:] = color
  canvas[: image.shape[0], : image.shape[1]] = image
  return canvas


def _count_bytes(example: dict) -> int:
  return sum(value.nbytes for value in example.values() if isinstance(value, np.ndarray))

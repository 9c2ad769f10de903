"""Pictures of label maps."""

from __future__ import annotations

import numpy as np
from PIL import Image

from train.data.classes import ClassTable


def palette_image(labels: np.ndarray, table: ClassTable) -> Image.Image:
  """A palette image whose values are the train ids, shown in the classes' colours.

  Args:
    labels: uint8 `[H, W]`.
  """
  image = Image.fromarray(labels.astype(np.uint8), mode=None).convert("L")
  image.putpalette(table.palette().tobytes())
  return image


def coloured(labels: np.ndarray, table: ClassTable) -> np.ndarray:
  """RGB uint8 `[H, W, 3]`."""
  return table.palette()[labels]


def overlay(image: np.ndarray, labels: np.ndarray, table: ClassTable, opacity: float = 0.55) -> np.ndarray:
  """The classes' colours over the photograph, RGB uint8 `[H, W, 3]`."""
  mixed = (1 - opacity) * image + opacity * coloured(labels, table)
  return mixed.round().astype(np.uint8)


def side_by_side(panels: list[np.ndarray], gap: int = 4) -> np.ndarray:
  """RGB pictures of one height in a row, with white between them."""
  white = np.full((panels[0].shape[0], gap, 3), 255, np.uint8)
  parts = [part for panel in panels for part in (panel, white)]
  return np.concatenate(parts[:-1], axis=1)


def stacked(rows: list[np.ndarray], gap: int = 4) -> np.ndarray:
  """RGB pictures below each other, white between them and beside narrower ones."""
  width = max(row.shape[1] for row in rows)
  sides = [((0, gap), (0, width - row.shape[1]), (0, 0)) for row in rows]
  return np.concatenate(
    [np.pad(row, side, constant_values=255) for row, side in zip(rows, sides, strict=True)]
  )

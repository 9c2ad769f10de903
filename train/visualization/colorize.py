"""Pictures of label maps, and writing pictures."""

from __future__ import annotations

import pathlib

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
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


def write_image(image: np.ndarray | Image.Image, path: pathlib.Path) -> None:
  """A PNG of RGB uint8 `[H, W, 3]` or of a `PIL` image, never half of one."""
  image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
  draft = path.with_name(f"{path.name}.tmp")
  image.save(draft, "PNG")
  draft.replace(path)


def write_figure(figure: Figure, stem: pathlib.Path) -> None:
  """STEM.png with 300 dots an inch, STEM.pdf with text as text; the same figure gives the same bytes."""
  # Publishers refuse Type 3 fonts, Matplotlib's default.
  with mpl.rc_context({"pdf.fonttype": 42}):
    for kind, metadata in (("png", {}), ("pdf", {"CreationDate": None})):
      draft = stem.with_name(f"{stem.name}.{kind}.tmp")
      figure.savefig(draft, format=kind, dpi=300, metadata=metadata)
      draft.replace(stem.with_name(f"{stem.name}.{kind}"))

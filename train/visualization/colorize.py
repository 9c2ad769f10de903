"""Images of label maps, and atomic writing of images and figures."""

from __future__ import annotations

import pathlib

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ppool_jax.utils.files import atomic_write
from train.data.classes import ClassTable


def to_palette_image(labels: np.ndarray, table: ClassTable) -> Image.Image:
  """A palette image whose values are the train ids, shown in the classes' colors.

  Args:
    labels: uint8 `[H, W]`.
  """
  image = Image.fromarray(labels.astype(np.uint8), mode=None).convert("L")
  image.putpalette(table.palette().tobytes())
  return image


def colorize(labels: np.ndarray, table: ClassTable) -> np.ndarray:
  """The classes' colors, RGB uint8 `[H, W, 3]`, of train ids uint8 `[H, W]`."""
  return table.palette()[labels]


def overlay(image: np.ndarray, labels: np.ndarray, table: ClassTable, opacity: float = 0.55) -> np.ndarray:
  """Blends the classes' colors over an image, RGB uint8 `[H, W, 3]`."""
  blended = (1 - opacity) * image + opacity * colorize(labels, table)
  return blended.round().astype(np.uint8)


def hconcat(panels: list[np.ndarray], gap: int = 4) -> np.ndarray:
  """Joins RGB images of the same height from left to right, with white gaps."""
  white = np.full((panels[0].shape[0], gap, 3), 255, np.uint8)
  parts = [part for panel in panels for part in (panel, white)]
  return np.concatenate(parts[:-1], axis=1)


def vconcat(rows: list[np.ndarray], gap: int = 4) -> np.ndarray:
  """Joins RGB images from top to bottom, with white gaps and white beside narrower ones."""
  width = max(row.shape[1] for row in rows)
  padding = [((0, gap), (0, width - row.shape[1]), (0, 0)) for row in rows]
  return np.concatenate(
    [np.pad(row, pad, constant_values=255) for row, pad in zip(rows, padding, strict=True)]
  )


def write_image(image: np.ndarray | Image.Image, path: pathlib.Path) -> None:
  """Writes RGB uint8 `[H, W, 3]` or a `PIL` image as a PNG, atomically."""
  image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
  with atomic_write(path) as file:
    image.save(file, "PNG")


def write_figure(figure: Figure, stem: pathlib.Path) -> None:
  """Writes STEM.png with 300 dpi and STEM.pdf with embedded text, atomically and reproducibly."""
  # Publishers reject Type 3 fonts, which are Matplotlib's default.
  with mpl.rc_context({"pdf.fonttype": 42}):
    for kind, metadata in (("png", {}), ("pdf", {"CreationDate": None})):
      with atomic_write(stem.with_name(f"{stem.name}.{kind}")) as file:
        figure.savefig(file, format=kind, dpi=300, metadata=metadata)

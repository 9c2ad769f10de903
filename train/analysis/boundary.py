"""Which windows of a unit lie at the edge of a label."""

from __future__ import annotations

import numpy as np

from ppool_jax.metrics.boundary import near_another_label
from train.analysis.units import Unit
from train.data.classes import IGNORE

EDGE = 2
"""Pixels (chessboard distance) from a pixel of another label within which a pixel is at an edge."""


def edge_pixels(label: np.ndarray, distance: int = EDGE) -> np.ndarray:
  """The pixels of `[H, W]` within `distance` pixels of another label, void included; bool `[H, W]`."""
  return near_another_label(label, distance, mode="nearest")


def windows_at_edges(
  edges: np.ndarray, label: np.ndarray, unit: Unit, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
  """(windows that hold a pixel at an edge, windows that hold none), bool `[h, w]` both.

  A window holds the pixels that its cells tile. Windows whose center is void (ignored) are neither.

  Args:
    edges: of `edge_pixels`.
    label: integers `[H, W]`.
    shape: (h, w), of the unit's alpha map.
  """
  (top, bottom), (left, right) = (
    _extent(unit, count, side) for count, side in zip(shape, label.shape, strict=True)
  )
  sums = np.pad(edges.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
  held = sums[np.ix_(bottom, right)] - sums[np.ix_(top, right)]
  held += sums[np.ix_(top, left)] - sums[np.ix_(bottom, left)]
  rows, columns = (
    np.minimum(np.floor(_centers(unit, count)).astype(int), side - 1)
    for count, side in zip(shape, label.shape, strict=True)
  )
  valid = label[np.ix_(rows, columns)] != IGNORE
  return valid & (held > 0), valid & (held == 0)


def _centers(unit: Unit, count: int) -> np.ndarray:
  return unit.grid.offset + unit.grid.stride * np.arange(count)


def _extent(unit: Unit, count: int, side: int) -> tuple[np.ndarray, np.ndarray]:
  """The first pixel of every window and the one after its last, within the image."""
  first = _centers(unit, count) - (unit.window - 1) / 2
  return tuple(np.clip(np.ceil(at).astype(int), 0, side) for at in (first, first + unit.window))

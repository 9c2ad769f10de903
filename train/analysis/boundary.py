"""Finds the windows of a unit that lie at the edge of a label."""

from __future__ import annotations

import numpy as np

from ppool_jax.metrics.boundary import near_another_label
from train.analysis.units import Unit
from train.data.classes import IGNORE

EDGE = 2
"""Largest distance in pixels (chessboard) of an edge pixel to a pixel of another label."""


def find_edge_pixels(label: np.ndarray, distance: int = EDGE) -> np.ndarray:
  """Finds the pixels of `[H, W]` within `distance` of another label, void included; bool `[H, W]`."""
  return near_another_label(label, distance, mode="nearest")


def split_windows_at_edges(
  edges: np.ndarray, label: np.ndarray, unit: Unit, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
  """Splits windows into (those with an edge pixel, those without), both bool `[h, w]`.

  A window contains the pixels that its cells cover. Windows with a void (ignored) center are in neither.

  Args:
    edges: edge pixels from `find_edge_pixels`, bool `[H, W]`.
    label: train ids, integers `[H, W]`.
    unit: the unit.
    shape: (h, w) of the unit's alpha map.
  """
  (top, bottom), (left, right) = (
    _window_extents(unit, count, side) for count, side in zip(shape, label.shape, strict=True)
  )
  sums = np.pad(edges.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
  counts = sums[np.ix_(bottom, right)] - sums[np.ix_(top, right)]
  counts += sums[np.ix_(top, left)] - sums[np.ix_(bottom, left)]
  rows, columns = (
    np.minimum(np.floor(_window_centers(unit, count)).astype(int), side - 1)
    for count, side in zip(shape, label.shape, strict=True)
  )
  valid = label[np.ix_(rows, columns)] != IGNORE
  return valid & (counts > 0), valid & (counts == 0)


def _window_centers(unit: Unit, count: int) -> np.ndarray:
  return unit.grid.offset + unit.grid.stride * np.arange(count)


def _window_extents(unit: Unit, count: int, side: int) -> tuple[np.ndarray, np.ndarray]:
  """The first pixel of every window and the pixel after its last, clipped to the image."""
  first = _window_centers(unit, count) - (unit.window - 1) / 2
  start, stop = (np.clip(np.ceil(at).astype(int), 0, side) for at in (first, first + unit.window))
  return start, stop

"""The alpha maps of a forward pass, cropped to the image, and their statistics."""

from __future__ import annotations

import math
from typing import Any

import flax
import jax
import jax.numpy as jnp

from ppool_jax.models.grid import Grid

_XCEPTION = {"pool2": "block1", "pool3": "block2", "pool4": "block3", "pool5": "block12"}
"""The feature that a pool of Xception ends; other features have the name of their pool."""


def alpha_maps(sown, backbone=None, size: tuple[int, int] | None = None) -> dict[str, jax.Array]:
  """Returns the alpha maps by pool, "pool1" -> `[N, h, w, C]`.

  Args:
    sown: the collection "intermediates" of one call of a model.
    backbone: of the model; without it or `size` the maps are not cropped.
    size: (height, width) of the images. A segmenter pads sides that are no multiple of its stride; cells in
      the padding are cropped, see `cells_inside`.
  """
  maps = {}
  sown_values: dict[tuple, Any] = flax.traverse_util.flatten_dict(dict(sown.get("intermediates", {})))
  for path, value in sown_values.items():
    if path[-1] != "alpha":  # an alpha source may sow values of its own, under <pool>/alpha/<name>
      continue
    unit = path[-3] if path[-2] == "alpha" else path[-2]
    maps[unit] = value[-1]
  if backbone is None or size is None:
    return maps
  return {
    unit: crop(alpha, unit_grid(backbone, unit), size, backbone.size_divisor) for unit, alpha in maps.items()
  }


def alpha_statistics(sown, backbone=None, size: tuple[int, int] | None = None) -> dict[str, jax.Array]:
  """Returns scalars by name: "alpha/pool1/mean", ".../low" and ".../high".

  low and high are the fractions of a map at the ends of its source's range, where a clip passes no gradient.

  Args:
    sown: the collections "intermediates" and "alpha_range" of one call of a model.
    backbone, size: as for `alpha_maps`; cells in the padding do not count.
  """
  ranges: dict[tuple, Any] = flax.traverse_util.flatten_dict(dict(sown.get("alpha_range", {})))
  ends = {path[-2]: value for path, value in ranges.items()}
  statistics = {}
  for unit, alpha in alpha_maps(sown, backbone, size).items():
    low, high = ends[unit]
    statistics[f"alpha/{unit}/mean"] = alpha.mean()
    statistics[f"alpha/{unit}/low"] = jnp.mean(alpha <= low)
    statistics[f"alpha/{unit}/high"] = jnp.mean(alpha >= high)
  return statistics


def unit_grid(backbone, unit: str) -> Grid:
  """Returns the positions of a pool's cells in the image.

  Args:
    backbone: a network of `ppool_jax.models`.
    unit: the name of one of its pools.
  """
  grids = backbone.grids
  if unit in grids:
    return grids[unit]
  if unit in _XCEPTION:
    return grids[_XCEPTION[unit]]
  # BN-Inception: pool_3c and pool_3c_3x3 belong to block 3c, whose grid is that of its convolutions.
  grid = grids["inception_" + unit.split("_")[1]]
  slot = next(slot for slot in backbone.pool_slots if slot.name == unit)
  if not slot.ceil:
    return grid
  # A ceil-mode window starts at the cell that the convolutions' windows are centered on.
  return grid._replace(offset=grid.offset + grid.stride / slot.stride * (slot.window - 1) / 2)


def cells_inside(grid: Grid, cells: int, side: int, multiple: int) -> int:
  """Returns the number of cells along an axis that belong to the image; at least 1.

  A cell belongs to the image if its center, `offset + stride * i`, is less than `side`: the pixels of a
  window of even size are then at least half in the image. On a side that is not padded all cells belong to
  it, also those of pools of stride 1 whose last window is cut off at the border.

  Args:
    grid: of the cells.
    cells: number of cells along the axis, with those in the padding.
    side: length of the image along the axis, in pixels.
    multiple: the network pads the side to a multiple of it.
  """
  if side % multiple == 0:
    return cells
  return min(cells, max(1, math.ceil((side - grid.offset) / grid.stride)))


def crop(values: jax.Array, grid: Grid, size: tuple[int, int], multiple: int) -> jax.Array:
  """Crops `[N, h, w, C]` to the cells that belong to images of `size` (height, width)."""
  rows, columns = (
    cells_inside(grid, cells, side, multiple) for cells, side in zip(values.shape[1:3], size, strict=True)
  )
  return values[:, :rows, :columns]

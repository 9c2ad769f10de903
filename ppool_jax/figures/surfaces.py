"""Figure 3: poolings of two elements as surfaces y(x1, x2) over x1, x2 >= 0.

From the paper: max, average, Lp (whose output exceeds both inputs), gated (two planes with a fold) and
P-pooling. The gate's mask, SoftPool, DPP (the average for two elements, as both deviate equally from it), the
alphas and the viewpoint are not from the paper.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from ppool_jax.figures import poolings

# A steep mask, with which the gate is almost a switch: max where x1 > x2, average elsewhere.
_MASK = np.asarray([40.0, -40.0], np.float32)
_TOP = 2 ** (1 / 3)
_LEGEND = (
  f"Gated with the mask ({_MASK[0]:g}, {_MASK[1]:g}): two planes, folded at $x_1 = x_2$.  "
  "DPP of two elements is their average.  Lp exceeds both."
)

POOLINGS = (
  poolings.MAX,
  poolings.AVERAGE,
  poolings.LP,
  poolings.gated(_MASK),
  poolings.SOFT,
  poolings.DPP,
  *(poolings.polynomial(alpha) for alpha in (0, 1, 2, 10)),
)


def surface(pool: poolings.Pool, points: int = 41) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """x1, x2 and y over a grid on [0, 1]^2, `[points, points]` each."""
  axis = np.linspace(0, 1, points, dtype=np.float32)
  x1, x2 = np.meshgrid(axis, axis, indexing="ij")
  y = pool(jnp.stack([x1, x2], -1)[..., None], (2,))
  return x1, x2, np.asarray(y[..., 0, 0])


def draw() -> Figure:
  """Draws a surface for each pooling, all with the same axes, colors and viewpoint."""
  figure = Figure(figsize=(16, 8), dpi=100)
  figure.suptitle("Poolings of two elements, $y(x_1, x_2)$", fontsize=18)
  figure.text(0.5, 0.018, _LEGEND, ha="center", fontsize=13)
  panels = figure.subplots(
    2, 5, subplot_kw={"projection": "3d"}, gridspec_kw={"wspace": 0.06, "hspace": 0.04}
  )
  figure.subplots_adjust(0.01, 0.06, 0.98, 0.92)
  for panel, (name, pool) in zip(panels.flat, POOLINGS, strict=True):
    _show(panel, *surface(pool), name)
  return figure


def _show(panel: Any, x1: np.ndarray, x2: np.ndarray, y: np.ndarray, title: str) -> None:
  # Neighboring panels would cover the labels that exceed this one.
  panel.patch.set_visible(False)
  # A stride that divides the grid: matplotlib pads smaller faces at the edge with uninitialized memory, and
  # sometimes warns of an overflow.
  panel.plot_surface(
    x1, x2, y, cmap="viridis", vmin=0, vmax=_TOP, rstride=2, cstride=2, edgecolor="white", linewidth=0.3
  )
  panel.set_title(title, fontsize=13, y=1.0)
  # Without 0, whose labels would collide in the corners.
  ticks = (0.5, 1)
  panel.set(xlim=(0, 1), ylim=(0, 1), zlim=(0, _TOP), xticks=ticks, yticks=ticks, zticks=ticks)
  panel.tick_params(labelsize=9, pad=-1)
  panel.set_xlabel("$x_1$", labelpad=-3)
  panel.set_ylabel("$x_2$", labelpad=-3)
  panel.set_box_aspect((1, 1, 0.8), zoom=1.05)
  panel.view_init(elev=24, azim=-120)

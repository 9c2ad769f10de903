"""Figure 2: the white, gray and dark corner points that poolings preserve.

From the paper: 2x2 windows of stride 1 on a small image with white, gray and dark corner points. P-pooling
with alpha = 2 preserves both white and gray; DPP removes white and dark. The image, the other poolings, the
outlined corners and the measure of survival are not from the paper.

The outlined windows have one white, two gray and one dark pixel, and gray is halfway between white and dark.
White and dark then deviate equally from the mean, so DPP, which weights by deviation, balances them;
P-pooling weights by brightness.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ppool_jax.figures import poolings

WHITE, GRAY, DARK = 1.0, 0.6, 0.2
# Rows and columns of the squares, ends included; a corner of each white square touches a dark square.
_WHITE_SQUARES = ((2, 6, 2, 6), (12, 16, 12, 16), (5, 7, 12, 14), (14, 14, 4, 4))
_DARK_SQUARES = ((7, 11, 7, 11), (2, 4, 15, 17), (15, 15, 5, 5))
# Upper left pixels of the windows where squares touch, which are the indices of these windows in the output.
CORNERS = ((6, 6), (11, 11), (4, 14), (14, 4))
_SIZE = 20
_OUTLINE = "#e8590c"
_LEGEND = (
  "Outlined: a white, a dark and two gray points, and the value pooled from them.  "
  "Bars: shares of white, gray and dark that survive there."
)

POOLINGS = (
  poolings.AVERAGE,
  poolings.MAX,
  poolings.LP,
  poolings.MIXED,
  poolings.SOFT,
  poolings.DPP,
  *(poolings.polynomial(alpha) for alpha in (0, 2, 20)),
)


def input_image() -> np.ndarray:
  """The input, `[20, 20]` in [0, 1]."""
  image = np.full((_SIZE, _SIZE), GRAY, np.float32)
  for value, squares in ((WHITE, _WHITE_SQUARES), (DARK, _DARK_SQUARES)):
    for top, bottom, left, right in squares:
      image[top : bottom + 1, left : right + 1] = value
  return image


def pooled(pool: poolings.Pool) -> np.ndarray:
  """The image after pooling, `[19, 19]`."""
  return np.asarray(pool(jnp.asarray(input_image())[..., None], (2, 2))[..., 0])


def survival(y: np.ndarray) -> tuple[float, float, float]:
  """Shares of white, gray and dark in the outlined corners of a pooled image; they sum to 1.

  The shares of white and dark are the corners' contrast to the gray background, relative to that before
  pooling; gray has the rest.

  Args:
    y: the pooled image, `[19, 19]`.
  """
  level = np.mean([y[corner] for corner in CORNERS])
  white = np.clip((level - GRAY) / (WHITE - GRAY), 0, 1)
  dark = np.clip((GRAY - level) / (GRAY - DARK), 0, 1)
  return float(white), float(1 - white - dark), float(dark)


def draw() -> Figure:
  """Draws the input, and for each pooling its output above a bar of the shares that survive."""
  figure = Figure(figsize=(16, 8), dpi=100)
  panels = figure.subplots(2, 5, gridspec_kw={"wspace": 0.12, "hspace": 0.36})
  figure.subplots_adjust(0.02, 0.115, 0.98, 0.87)
  figure.suptitle("White, gray and dark corner points under 2x2 pooling, stride 1", fontsize=18)
  figure.text(0.5, 0.018, _LEGEND, ha="center", fontsize=13)
  _show(panels.flat[0], input_image(), "input", outlined=2)
  for panel, (name, pool) in zip(panels.flat[1:], POOLINGS, strict=True):
    y = pooled(pool)
    clipped = f" (up to {y.max():.2f}, cut at 1)" if y.max() > 1.001 else ""
    _show(panel, y, name + clipped, outlined=1)
    _bar(panel, survival(y))
  return figure


def _show(panel: Axes, image: np.ndarray, title: str, outlined: int) -> None:
  """Draws an image and outlines its corners by squares of `outlined` pixels."""
  panel.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
  panel.set_title(title, fontsize=13)
  panel.set(xticks=[], yticks=[])
  for row, column in CORNERS:
    # Around the pixels, not over them: an output pixel is only 13 pixels of the figure wide.
    corner, side = (column - 0.7, row - 0.7), outlined + 0.4
    panel.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=_OUTLINE, linewidth=1.8))


def _bar(panel: Axes, shares: tuple[float, float, float]) -> None:
  """Draws a stacked bar of the shares of white, gray and dark below a panel."""
  bar = panel.inset_axes((0, -0.12, 1, 0.08))
  bar.set(xlim=(0, 1), xticks=[], yticks=[])
  start = 0.0
  for share, level in zip(shares, (WHITE, GRAY, DARK), strict=True):
    bar.barh(0, share, left=start, color=str(level))
    if share > 0.05:
      ink = "white" if level == DARK else "black"
      bar.text(start + share / 2, 0, f"{share:.0%}", ha="center", va="center", color=ink, fontsize=11)
    start += share

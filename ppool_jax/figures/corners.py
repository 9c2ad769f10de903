"""Figure 2: what poolings leave of white, grey and dark corner points.

From the paper: 2x2 windows, stride 1, a small picture with white, grey and dark corner points; with
P-pooling at alpha = 2 the white and the grey ones both survive, with DPP the white and the dark ones
vanish. Ours: the picture, the other poolings, the outlined corners and the measure of survival.

The outlined windows hold one white, two grey and one dark point, whose grey is halfway between the
others. White and dark then deviate from the mean by as much, and DPP, which weighs by deviation,
balances the one with the other; P-pooling weighs by brightness.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ppool_jax.figures import shown

WHITE, GREY, DARK = 1.0, 0.6, 0.2
# Rows and columns of the squares, ends included; a corner of each white one touches one of a dark one.
_WHITE_SQUARES = ((2, 6, 2, 6), (12, 16, 12, 16), (5, 7, 12, 14), (14, 14, 4, 4))
_DARK_SQUARES = ((7, 11, 7, 11), (2, 4, 15, 17), (15, 15, 5, 5))
# Upper left pixels of the windows where they touch, and so the places of these windows in the output.
CORNERS = ((6, 6), (11, 11), (4, 14), (14, 4))
_SIZE = 20
_OUTLINE = "#e8590c"
_LEGEND = (
  "Outlined: where a white, a dark and two grey points meet, and the one value pooled from them.  "
  "Bars: how much of white, grey and dark survives there."
)

POOLINGS = (
  shown.AVERAGE,
  shown.MAX,
  shown.LP,
  shown.MIXED,
  shown.SOFT,
  shown.DPP,
  *(shown.polynomial(alpha) for alpha in (0, 2, 20)),
)


def picture() -> np.ndarray:
  """The input, `[20, 20]` in [0, 1]."""
  image = np.full((_SIZE, _SIZE), GREY, np.float32)
  for value, squares in ((WHITE, _WHITE_SQUARES), (DARK, _DARK_SQUARES)):
    for top, bottom, left, right in squares:
      image[top : bottom + 1, left : right + 1] = value
  return image


def pooled(pool: shown.Pool) -> np.ndarray:
  """The picture after a pooling, `[19, 19]`."""
  return np.asarray(pool(jnp.asarray(picture())[..., None], (2, 2))[..., 0])


def survival(y: np.ndarray) -> tuple[float, float, float]:
  """Shares of white, grey and dark, adding up to 1, in the outlined corners of a pooled picture.

  White's share is the corners' contrast to the grey field, relative to what it was before pooling;
  dark's likewise; and grey's is what is left, the contrast to white (or dark).
  """
  level = np.mean([y[corner] for corner in CORNERS])
  white = np.clip((level - GREY) / (WHITE - GREY), 0, 1)
  dark = np.clip((GREY - level) / (GREY - DARK), 0, 1)
  return float(white), float(1 - white - dark), float(dark)


def draw() -> Figure:
  """The input, and a panel for each pooling over a bar of what survives."""
  figure = Figure(figsize=(16, 8), dpi=100)
  panels = figure.subplots(2, 5, gridspec_kw={"wspace": 0.12, "hspace": 0.36})
  figure.subplots_adjust(0.02, 0.115, 0.98, 0.87)
  figure.suptitle("White, grey and dark corner points under 2x2 pooling, stride 1", fontsize=18)
  figure.text(0.5, 0.018, _LEGEND, ha="center", fontsize=13)
  _show(panels.flat[0], picture(), "input", outlined=2)
  for panel, (name, pool) in zip(panels.flat[1:], POOLINGS, strict=True):
    y = pooled(pool)
    clipped = f" (up to {y.max():.2f}, cut at 1)" if y.max() > 1.001 else ""
    _show(panel, y, name + clipped, outlined=1)
    _bar(panel, survival(y))
  return figure


def _show(panel, image, title, outlined):
  """An image over the common grey scale, its corners outlined by squares of that many pixels."""
  panel.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
  panel.set_title(title, fontsize=13)
  panel.set(xticks=[], yticks=[])
  for row, column in CORNERS:
    # Around the pixels, not over them: one output pixel is only 13 of the figure's wide.
    place, side = (column - 0.7, row - 0.7), outlined + 0.4
    panel.add_patch(Rectangle(place, side, side, fill=False, edgecolor=_OUTLINE, linewidth=1.8))


def _bar(panel, shares):
  """A stacked bar of the shares of white, grey and dark, below a panel."""
  bar = panel.inset_axes((0, -0.12, 1, 0.08))
  bar.set(xlim=(0, 1), xticks=[], yticks=[])
  start = 0.0
  for share, level in zip(shares, (WHITE, GREY, DARK), strict=True):
    bar.barh(0, share, left=start, color=str(level))
    if share > 0.05:
      ink = "white" if level == DARK else "black"
      bar.text(start + share / 2, 0, f"{share:.0%}", ha="center", va="center", color=ink, fontsize=11)
    start += share

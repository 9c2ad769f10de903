"""Draws the paper's Figure 6 and its parts: alpha maps beside their image, and mean alpha by channel.

All maps and curves of a figure share one scale; see `train.analysis.scale`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from train.analysis.picture import AlphaPicture
from train.analysis.scale import AlphaScale
from train.analysis.units import Unit

_CHANNELS = 4  # channels drawn of each unit
_COLORS = "viridis"
_TEXT = 7  # points


def draw_figure6(picture: AlphaPicture) -> Figure:
  """Draws (a) the image, (b) alpha maps of four channels of each unit, (c) mean alpha by channel.

  Each row is a unit; shallow units are at the top.
  """
  row = max(0.95, 1.15 * picture.image.shape[0] / picture.image.shape[1] + 0.3)  # inches
  figure = Figure(figsize=(11, row * max(len(picture.units), 2) + 0.8), layout="constrained")
  left, middle, right = figure.subfigures(1, 3, squeeze=False, width_ratios=(2.2, 5.4, 3.2))[0]
  image_axes = left.subplots()
  _draw_image(image_axes, picture.image)
  left.suptitle("(a) image", fontsize=_TEXT + 2)
  middle.suptitle("(b) alpha maps of the channels that vary most", fontsize=_TEXT + 2)
  rows = middle.subplots(len(picture.units), _CHANNELS, squeeze=False)
  for axes, unit in zip(rows, picture.units, strict=True):
    _draw_maps(axes, picture, unit, most_varying_channels(picture.maps[unit]))
  _add_colorbar(middle, rows.ravel().tolist(), picture.scale)
  right.suptitle("(c) mean alpha over the image by channel", fontsize=_TEXT + 2)
  panels = right.subplots(len(picture.units), 1, squeeze=False)[:, 0]
  _draw_means(panels, picture)
  panels[-1].set_xlabel("channel", fontsize=_TEXT)
  right.supylabel(picture.scale.label, fontsize=_TEXT)
  return figure


def draw_maps(picture: AlphaPicture, unit: str, channels: Sequence[int] | None = None) -> Figure:
  """Draws the image and the alpha maps of some channels of one unit.

  Args:
    picture: alpha of one image.
    unit: name of the unit.
    channels: channels to draw; None: the four whose alpha varies most.

  Raises:
    ValueError: the unit has no such channel.
  """
  alpha = picture.maps[unit]
  selected = most_varying_channels(alpha) if channels is None else channels
  for channel in selected:
    if not 0 <= channel < alpha.shape[-1]:
      raise ValueError(f"--channels: expected 0..{alpha.shape[-1] - 1} for {unit}, got {channel}")
  figure = Figure(figsize=(3 * (len(selected) + 1) + 1, 2.8), layout="constrained")
  axes = figure.subplots(1, 1 + len(selected), squeeze=False)[0]
  _draw_image(axes[0], picture.image)
  _draw_maps(axes[1:], picture, unit, selected)
  _add_colorbar(figure, axes.tolist(), picture.scale)
  return figure


def draw_channel_means(picture: AlphaPicture) -> Figure:
  """Draws the image, and the mean of alpha over the image by channel for every unit, on one scale."""
  figure = Figure(figsize=(2.6 * (1 + len(picture.units)), 2.8), layout="constrained")
  axes = figure.subplots(1, 1 + len(picture.units), squeeze=False)[0]
  _draw_image(axes[0], picture.image)
  _draw_means(axes[1:], picture)
  for axis in axes[1:]:
    axis.set_xlabel("channel", fontsize=_TEXT)
  axes[1].set_ylabel(picture.scale.label, fontsize=_TEXT)
  return figure


def most_varying_channels(alpha: np.ndarray) -> list[int]:
  """The four channels of `[h, w, C]` whose alpha varies most over the image, in ascending order."""
  return sorted(np.argsort(alpha.std(axis=(0, 1)))[::-1][:_CHANNELS].tolist())


def resize_to_pixels(alpha: np.ndarray, unit: Unit, size: tuple[int, int]) -> np.ndarray:
  """Resizes a map `[h, w]` to `[*size]`: each pixel has the alpha of the window with the nearest center."""
  rows, columns = (
    np.clip(
      np.ceil((np.arange(pixels) - unit.grid.offset) / unit.grid.stride - 0.5).astype(int), 0, cells - 1
    )
    for pixels, cells in zip(size, alpha.shape, strict=True)
  )
  return alpha[np.ix_(rows, columns)]


def _draw_maps(axes, picture: AlphaPicture, unit: str, channels: Sequence[int]) -> None:
  size, norm = picture.image.shape[:2], picture.scale.norm()
  for axis in axes[len(channels) :]:  # the unit has fewer channels than there are panels
    axis.set_axis_off()
  for axis, channel in zip(axes, channels, strict=False):
    pixels = resize_to_pixels(picture.maps[unit][..., channel], picture.units[unit], size)
    axis.imshow(pixels, cmap=_COLORS, norm=norm, interpolation="nearest")
    separator = ", " if len(unit) < 8 else "\n"
    axis.set_title(f"{unit}{separator}channel {channel}", fontsize=_TEXT, pad=2)
    axis.set_axis_off()


def _draw_means(axes, picture: AlphaPicture) -> None:
  for axis, unit in zip(axes, picture.units, strict=True):
    channels = np.arange(picture.maps[unit].shape[-1])
    axis.axhline(
      picture.initial[unit].mean(), color="#c23b22", linewidth=0.9, linestyle="--", label="initial"
    )
    axis.plot(channels, picture.maps[unit].mean((0, 1), dtype=float), ".", markersize=3, label="trained")
    axis.set_title(unit, fontsize=_TEXT, pad=2)
    axis.tick_params(labelsize=_TEXT - 1, length=2)
    picture.scale.set_axis(axis)
  axes[0].legend(fontsize=_TEXT - 1, frameon=False, ncols=2, loc="best")


def _draw_image(axis, image: np.ndarray) -> None:
  axis.imshow(image)
  axis.set_axis_off()


def _add_colorbar(figure, axes, scale: AlphaScale) -> None:
  rows = len(axes) // _CHANNELS
  bar = figure.colorbar(ScalarMappable(scale.norm(), _COLORS), ax=axes, shrink=0.9, aspect=10 * rows + 10)
  scale.set_axis(bar.ax)
  bar.ax.set_ylim(0, scale.high)
  bar.set_label(scale.label, fontsize=_TEXT)
  bar.ax.tick_params(labelsize=_TEXT - 1, length=2)

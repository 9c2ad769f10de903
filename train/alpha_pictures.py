"""Pictures of alpha: maps of chosen channels, mean alpha against channel (the paper's Figure 6)."""

from __future__ import annotations

import pathlib

import matplotlib.pyplot as plt
import numpy as np

_SHOWN = 4


def draw_maps(unit: str, alpha: np.ndarray, channels: list[int] | None, path: pathlib.Path) -> None:
  """The maps of some channels of one unit, on one colour scale.

  Args:
    alpha: float `[h, w, C]`.
    channels: which; None: those that vary most.

  Raises:
    ValueError: a channel that the unit does not have.
  """
  chosen = most_varied(alpha) if channels is None else channels
  for channel in chosen:
    if not 0 <= channel < alpha.shape[-1]:
      raise ValueError(f"--channels: expected 0..{alpha.shape[-1] - 1} for {unit}, got {channel}")
  figure, axes = plt.subplots(1, len(chosen), figsize=(3 * len(chosen) + 1, 2.8), squeeze=False,
                              layout="constrained")  # fmt: skip
  shown = alpha[..., chosen]
  for axis, channel in zip(axes[0], chosen, strict=True):
    picture = axis.imshow(alpha[..., channel], vmin=shown.min(), vmax=max(shown.max(), shown.min() + 1e-3))
    axis.set_title(f"{unit}, channel {channel}", fontsize=9)
    axis.set_axis_off()
  figure.colorbar(picture, ax=axes[0].tolist(), label="alpha")
  figure.savefig(path, dpi=100)
  plt.close(figure)


def most_varied(alpha: np.ndarray) -> list[int]:
  """The channels whose alpha varies most over the image, in their order."""
  return sorted(np.argsort(alpha.std(axis=(0, 1)))[::-1][:_SHOWN].tolist())


def draw_channel_means(image: np.ndarray, maps: dict[str, np.ndarray], path: pathlib.Path) -> None:
  """The image, and for every unit the mean of alpha over the image against the channel.

  Args:
    image: RGB uint8 `[H, W, 3]`.
    maps: float `[h, w, C]` by unit.
  """
  figure, axes = plt.subplots(1, 1 + len(maps), figsize=(3 * (1 + len(maps)), 2.8), layout="constrained")
  axes[0].imshow(image)
  axes[0].set_axis_off()
  for axis, (unit, alpha) in zip(axes[1:], sorted(maps.items()), strict=True):
    axis.plot(alpha.mean(axis=(0, 1)), ".", markersize=3)
    axis.set_title(unit, fontsize=9)
    axis.set_xlabel("channel")
  axes[1].set_ylabel("mean alpha")
  figure.savefig(path, dpi=100)
  plt.close(figure)

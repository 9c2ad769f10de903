"""The colors of a generated scene.

The color ranges of the classes overlap on purpose, so that color alone does not determine the class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from train.data.datasets.scene_canvas import Color

SKY_COLORS = ((150, 180, 214), (186, 192, 198), (206, 186, 170), (140, 154, 176))
WALL_COLORS = (
  (150, 142, 132),
  (120, 116, 114),
  (158, 116, 96),
  (176, 160, 128),
  (108, 122, 138),
  (122, 134, 106),
)
LEAF_COLORS = ((72, 104, 60), (96, 112, 58), (140, 120, 62), (58, 84, 62), (112, 98, 80))
METAL_COLORS = ((96, 98, 102), (60, 62, 64), (112, 92, 74), (140, 142, 144), (78, 96, 80))
FENCE_COLORS = ((126, 100, 76), (172, 170, 164), (76, 98, 76), (84, 84, 90))
SIGN_COLORS = ((188, 60, 54), (58, 90, 168), (206, 176, 70), (202, 202, 198), (60, 126, 92))
CLOTHES_COLORS = (
  (66, 64, 74),
  (150, 66, 60),
  (70, 92, 140),
  (168, 160, 146),
  (104, 112, 72),
  (190, 150, 70),
)
SKIN_COLORS = ((206, 164, 138), (150, 108, 84), (98, 72, 58))


def pick_color(rng: np.random.Generator, colors: Sequence[Color], spread: int = 18) -> Color:
  """One of the colors with its brightness changed by up to `spread`, each channel by a third of that more."""
  base = colors[int(rng.integers(len(colors)))]
  shifts = rng.integers(-spread, spread + 1) + rng.integers(-(spread // 3), spread // 3 + 1, 3)
  red, green, blue = (int(min(max(c + s, 0), 255)) for c, s in zip(base, shifts, strict=True))
  return red, green, blue


def scale_brightness(color: Color, percent: int) -> Color:
  """The color at `percent` of its brightness."""
  red, green, blue = (min(c * percent // 100, 255) for c in color)
  return red, green, blue

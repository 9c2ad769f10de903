"""The appearance of a generated scene: texture, light, blur and the camera's noise."""

from __future__ import annotations

import numpy as np

from train.data.datasets.scene_canvas import Label

# Gray levels of noise by class: single pixels, and patches of 3 x 3. Leaves are the roughest.
_PIXEL_NOISE = np.array([2, 9, 5, 14, 4, 3, 6, 4, 6], np.float32)
_PATCH_NOISE = np.array([4, 6, 7, 22, 3, 2, 5, 3, 4], np.float32)


def render(rng: np.random.Generator, image: np.ndarray, label: np.ndarray) -> np.ndarray:
  """Turns flat colors into a photograph-like image.

  Args:
    image: flat colors, float32 `[H, W, 3]` in 0..255.
    label: train ids, uint8 `[H, W]`.

  Returns:
    uint8 `[H, W, 3]`.
  """
  image = _add_texture(rng, image, label)
  return _expose(rng, _blur(_add_light(rng, image, label)))


def _add_texture(rng: np.random.Generator, image: np.ndarray, label: np.ndarray) -> np.ndarray:
  """Adds each class's noise of single pixels and of 3 x 3 patches, `[H, W, 3]`."""
  height, width = label.shape
  pixels = rng.random((height, width), np.float32) - 0.5
  coarse = rng.random((height // 3 + 1, width // 3 + 1), np.float32) - 0.5
  patches = coarse.repeat(3, 0).repeat(3, 1)[:height, :width]
  return image + (2 * (_PIXEL_NOISE[label] * pixels + _PATCH_NOISE[label] * patches))[:, :, None]


def _add_light(rng: np.random.Generator, image: np.ndarray, label: np.ndarray) -> np.ndarray:
  """Adds a shadow across the road and light from one side, `[H, W, 3]`."""
  height, width = label.shape
  down = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
  across = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :]
  shadow = (label == Label.ROAD) & (down * rng.uniform(-1.5, 1.5) + across > rng.uniform(-0.6, 0.6))
  light = 1 + rng.uniform(-0.3, 0.3) * across + rng.uniform(-0.2, 0.2) * down
  light[shadow] *= rng.uniform(0.6, 0.9)
  return image * light[:, :, None]


def _blur(image: np.ndarray) -> np.ndarray:
  """Blurs as a lens does, with (1, 4, 1) / 6 along either axis, `[H, W, 3]`."""
  padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
  rows = padded[:-2] + 4 * padded[1:-1] + padded[2:]
  return (rows[:, :-2] + 4 * rows[:, 1:-1] + rows[:, 2:]) / 36


def _expose(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
  """Applies brightness, tint and the sensor's noise; uint8 `[H, W, 3]`."""
  tint = np.float32(rng.uniform(0.75, 1.25)) * rng.uniform(0.9, 1.1, 3).astype(np.float32)
  noise = (rng.random(image.shape, np.float32) - 0.5) * rng.uniform(12, 40)
  return np.clip(np.rint(image * tint + noise), 0, 255).astype(np.uint8)

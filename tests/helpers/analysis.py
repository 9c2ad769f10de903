"""Helpers of the tests of train.analyze: windows at edges, and a log line of saturated units."""

import numpy as np

from train.analysis.boundary import EDGE
from train.analysis.observe import Observer

LINE = {"alpha/pool1/low": 0.02, "alpha/pool1/high": 0.03, "alpha/pool2/low": 0.12, "alpha/pool2/high": 0.17}


def alpha_maps(experiment, variables, image):
  """Alpha maps of one image uint8 [H, W, 3], float32 [h, w, C] by unit."""
  return {unit: observed.alpha for unit, observed in Observer(experiment)(variables, image).items()}


def windows_near_edges(label, stride, shape):
  """1: a pixel of the window is within EDGE of another label; 0: none is; -1: its center is void."""
  out = np.zeros(shape, int)
  for i, j in np.ndindex(*shape):
    window = [
      (y, x)
      for y in range(stride * i, min(stride * (i + 1), label.shape[0]))
      for x in range(stride * j, min(stride * (j + 1), label.shape[1]))
    ]
    boxes = (
      label[max(0, y - EDGE) : y + EDGE + 1, max(0, x - EDGE) : x + EDGE + 1] for y, x in window
    )  # fmt: skip
    out[i, j] = any(len(np.unique(box)) > 1 for box in boxes)
    center = tuple(
      min(int(stride * k + (stride - 1) / 2), side - 1) for k, side in zip((i, j), label.shape, strict=True)
    )
    out[i, j] = -1 if label[center] == 255 else out[i, j]
  return out

"""Networks and data sets small enough to say what an evaluation must find."""

from __future__ import annotations

import numpy as np

from ppool_jax import weights
from ppool_jax.weights.preprocess import TORCHVISION
from train.data.classes import IGNORE, ClassTable, LabelClass
from train.experiment.experiment import Experiment

# Raw ids as publishers have them: with gaps, and some that are ignored.
RAW = ClassTable(
  [
    LabelClass("void", 0, IGNORE, (0, 0, 0)),
    LabelClass("road", 7, 0, (128, 64, 128)),
    LabelClass("pole", 17, 1, (153, 153, 153), thin=True),
    LabelClass("sky", 23, 2, (70, 130, 180)),
    LabelClass("car", 26, 3, (0, 0, 142)),
  ]
)


class PixelByPixel:
  """A network of 1x1 kernels, whose scores are one linear function of each pixel.

  Attributes:
    traces: the shapes that it was traced for.
  """

  def __init__(self):
    self.traces = []

  def apply(self, variables, images):
    self.traces.append(images.shape)
    return images @ variables


def pixelwise(table: ClassTable = RAW) -> tuple[Experiment, np.ndarray]:
  """A network without context, and its variables."""
  variables = np.random.default_rng(0).normal(size=(3, table.num_classes)).astype(np.float32)
  return Experiment(table, PixelByPixel(), weights.Pretrained({}, TORCHVISION, {})), variables


def examples(sizes, classes: int = 4, seed: int = 0) -> list[dict]:
  """Random images of these sizes with random labels, a tenth of them ignored."""
  draw = np.random.default_rng(seed)
  made = []
  for i, size in enumerate(sizes):
    label = np.where(draw.random(size) < 0.1, IGNORE, draw.integers(0, classes, size)).astype(np.uint8)
    made.append({"id": f"image-{i:03}", "image": draw.integers(0, 256, (*size, 3), np.uint8), "label": label})
  return made

"""Networks and data sets that are small enough to compute the result of an evaluation by hand."""

from __future__ import annotations

import tracemalloc

import numpy as np

from ppool_jax import weights
from ppool_jax.weights.preprocess import TORCHVISION
from tests.helpers.training import tiny_config
from train.data.classes import IGNORE, ClassTable, LabelClass
from train.experiment.experiment import Experiment

# As in published data sets, raw ids have gaps and some are ignored.
CLASS_TABLE = ClassTable(
  [
    LabelClass("void", 0, IGNORE, (0, 0, 0)),
    LabelClass("road", 7, 0, (128, 64, 128)),
    LabelClass("pole", 17, 1, (153, 153, 153), thin=True),
    LabelClass("sky", 23, 2, (70, 130, 180)),
    LabelClass("car", 26, 3, (0, 0, 142)),
  ]
)


class PixelwiseModel:
  """A network of 1x1 kernels: the scores of a pixel are a linear function of it.

  Attributes:
    traces: the input shapes of its traces.
  """

  def __init__(self):
    self.traces = []

  def apply(self, variables, images):
    self.traces.append(images.shape)
    return images @ variables


def pixelwise_experiment(table: ClassTable = CLASS_TABLE) -> tuple[Experiment, np.ndarray]:
  """An experiment with a `PixelwiseModel`, and its variables."""
  variables = np.random.default_rng(0).normal(size=(3, table.num_classes)).astype(np.float32)
  return Experiment(table, PixelwiseModel(), weights.Pretrained({}, TORCHVISION, {})), variables


def examples(sizes, classes: int = 4, seed: int = 0) -> list[dict]:
  """Random images of these sizes with random labels, a tenth of them ignored."""
  rng = np.random.default_rng(seed)
  generated = []
  for i, size in enumerate(sizes):
    label = np.where(rng.random(size) < 0.1, IGNORE, rng.integers(0, classes, size)).astype(np.uint8)
    generated.append(
      {"id": f"image-{i:03}", "image": rng.integers(0, 256, (*size, 3), np.uint8), "label": label}
    )
  return generated


class GeneratedExamples:
  """A data set of any length that generates an image when it is read."""

  def __init__(self, count, size):
    self._count, self._size = count, size

  def __len__(self):
    return self._count

  def __getitem__(self, index):
    return examples([self._size(index)], seed=index)[0]


def eval_config(**fields):
  """A small config with these fields of config.eval."""
  return tiny_config(**{f"eval__{name}": value for name, value in fields.items()})


def peak_memory(work, expected):
  """Peak bytes that Python allocates during `work()`, which must return `expected`."""
  tracemalloc.start()
  try:
    assert work() == expected
    return tracemalloc.get_traced_memory()[1]
  finally:
    tracemalloc.stop()

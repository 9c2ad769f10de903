"""Predicting a set whose images have many sizes: a program a size, and few images waiting for others.

JAX compiles a program for every shape. So each size is always run with the same number of images, and
the programs are kept on disk: a second evaluation compiles nothing.
"""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Iterator, Sequence

import jax
import numpy as np

from train.evaluation.tta import classifier
from train.experiment.experiment import Experiment
from train.step.parallel import backend
from train.utils.progress import Meter

_LOG = logging.getLogger("train")

WAITING = 2**28
"""Bytes of examples that may wait for others of their size."""


class Predictor:
  """A function `(variables, uint8 images [N, H, W, 3]) -> classes uint8 [N, H, W]`, any N.

  Args:
    config: with parallel and eval.

  Attributes:
    sizes: how many images at once the program of each (height, width) takes.

  Raises:
    ValueError: what config.eval asks for cannot be.
  """

  def __init__(self, experiment: Experiment, config):
    for name, least in (("batch_size", 1), ("pad_multiple", 0)):
      if config.eval[name] < least:
        raise ValueError(f"eval.{name}: expected at least {least}, got {config.eval[name]}")
    keep_compiled(config.compilation_cache)
    self._parallel = backend(config.parallel)
    self._compiled = self._parallel.compile_map(classifier(experiment, config))
    self._colour = experiment.preprocess.mean_rgb
    self._multiple = config.eval.pad_multiple
    self.sizes: dict[tuple[int, int], int] = {}

  def __call__(self, variables, images: np.ndarray) -> np.ndarray:
    return np.stack(self.each(variables, images))

  def each(self, variables, images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The classes of images whose sizes have the same bucket."""
    size = bucket(images[0].shape[:2], self._multiple)
    labels = self._run(variables, np.stack([padded(image, size, self._colour) for image in images]))
    return [label[: x.shape[0], : x.shape[1]] for label, x in zip(labels, images, strict=True)]

  def _run(self, variables, images: np.ndarray) -> np.ndarray:
    # What comes first decides: an image whose size is rare is not run with copies of itself.
    count = self.sizes.setdefault(images.shape[1:3], self._rounded(len(images)))
    parts = []
    for first in range(0, len(images), count):
      part = images[first : first + count]
      whole = np.concatenate([part, np.repeat(part[:1], count - len(part), axis=0)])
      outputs = self._compiled(variables, self._parallel.place_map(whole))
      parts.append(self._parallel.fetch_map(outputs)[: len(part)])
    return np.concatenate(parts)

  def _rounded(self, count: int) -> int:
    """Up to a multiple of the devices."""
    return count + -count % len(self._parallel.devices)


def predictions(
  experiment: Experiment, variables, source, config, predictor: Predictor | None = None
) -> Iterator[tuple[dict, np.ndarray]]:
  """Every example of a random-access source with its predicted classes uint8 `[H, W]`, once, in any order.

  Args:
    predictor: of the experiment and config, where there is one already: it compiles nothing twice.
  """
  predictor = predictor or Predictor(experiment, config)
  for example, (labels,) in joint_predictions([(predictor, variables)], source, config):
    yield example, labels


def joint_predictions(networks, source, config) -> Iterator[tuple[dict, list[np.ndarray]]]:
  """As `predictions`, of several networks: every example is read once, with a prediction of each.

  Args:
    networks: (predictor, variables) of each.
    config: with eval, of all.
  """
  meter = Meter(len(source), "evaluation", "images")
  try:
    for examples in batches_by_size(source, config.eval.batch_size, config.eval.pad_multiple):
      images = [example["image"] for example in examples]
      found = [predict.each(variables, images) for predict, variables in networks]
      yield from ((example, list(labels)) for example, *labels in zip(examples, *found, strict=True))
      meter.advance(len(examples))
  finally:
    meter.close()
  sizes = len(networks[0][0].sizes)
  _LOG.info("evaluation: sizes of images, each with a program of its own: %d", sizes)


def batches_by_size(source, batch: int, multiple: int = 0, waiting: int = WAITING) -> Iterator[list[dict]]:
  """Every example once, in lists of at most `batch` whose sizes have the same bucket.

  Args:
    multiple: of `bucket`.
    waiting: bytes of examples to hold back until a list is full; above, those that came first go on
      with fewer, so that a set of any number of images and sizes needs no more memory.
  """
  groups: dict[tuple, list] = {}
  held = 0
  for index in range(len(source)):
    example = source[index]
    # A split for the benchmark's server has no labels.
    size = bucket(example.get("label", example.get("image")).shape[:2], multiple)
    groups.setdefault(size, []).append(example)
    held += _bytes(example)
    while groups and (held > waiting or len(groups.get(size, ())) == batch):
      full = size if len(groups.get(size, ())) == batch else next(iter(groups))
      examples = groups.pop(full)
      held -= sum(map(_bytes, examples))
      yield examples
  yield from groups.values()


def bucket(size: tuple[int, int], multiple: int) -> tuple[int, int]:
  """The (height, width) that an image of `size` is padded to: its own, or up to multiples."""
  return tuple(side + -side % multiple for side in size) if multiple else tuple(size)


def padded(image: np.ndarray, size: tuple[int, int], colour) -> np.ndarray:
  """The image, uint8 `[h, w, 3]`, in the upper left corner of one of `size` in the RGB `colour`."""
  canvas = np.empty((*size, 3), np.uint8)
  canvas[:] = colour
  canvas[: image.shape[0], : image.shape[1]] = image
  return canvas


def keep_compiled(folder: str) -> None:
  """Lets JAX keep compiled programs in `folder`, unless it keeps them somewhere already."""
  if not folder or jax.config.jax_compilation_cache_dir:
    return
  jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(folder).expanduser().absolute()))
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _bytes(example: dict) -> int:
  return sum(value.nbytes for value in example.values() if isinstance(value, np.ndarray))

"""Predicts images of many sizes with one compiled program per size.

JAX compiles a program for every shape. Therefore each size always runs with the same batch size, and
compiled programs are cached on disk: a second evaluation compiles nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import jax
import numpy as np

from ppool_jax.utils.files import local_path
from train.evaluation.batching import batches_by_size, pad_image, padded_size
from train.evaluation.tta import make_classify_fn
from train.experiment.experiment import Experiment
from train.step.parallel import backend
from train.utils.progress import ProgressMeter

INFERENCE_FIELDS = ("pad_multiple", "scales", "flip", "window", "stride")
"""Fields of config.eval that change the predictions."""

_LOG = logging.getLogger("train")


class Predictor:
  """A function `(variables, uint8 images [N, H, W, 3]) -> classes uint8 [N, H, W]`, any N.

  Args:
    config: with parallel and eval.

  Attributes:
    batch_sizes: batch size of the program of each (height, width).

  Raises:
    ValueError: a field of config.eval is invalid.
  """

  def __init__(self, experiment: Experiment, config):
    for name, minimum in (("batch_size", 1), ("pad_multiple", 0)):
      if config.eval[name] < minimum:
        raise ValueError(f"eval.{name}: expected at least {minimum}, got {config.eval[name]}")
    enable_compilation_cache(config.compilation_cache)
    self._parallel = backend(config.parallel)
    self._classify = self._parallel.compile_map(make_classify_fn(experiment, config))
    self._color = experiment.preprocess.mean_rgb
    self._multiple = config.eval.pad_multiple
    self.batch_sizes: dict[tuple[int, int], int] = {}

  def __call__(self, variables, images: np.ndarray) -> np.ndarray:
    return np.stack(self.predict_batch(variables, list(images)))

  def predict_batch(self, variables, images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The classes of images with the same `padded_size`, each uint8 `[H, W]` at its own size."""
    size = padded_size(images[0].shape[:2], self._multiple)
    labels = self._run(variables, np.stack([pad_image(image, size, self._color) for image in images]))
    return [label[: x.shape[0], : x.shape[1]] for label, x in zip(labels, images, strict=True)]

  def _run(self, variables, images: np.ndarray) -> np.ndarray:
    # The first batch of a size sets its batch size, so a rare size is not filled up with copies.
    batch_size = self.batch_sizes.setdefault(images.shape[1:3], self._round_up_to_devices(len(images)))
    parts = []
    for first in range(0, len(images), batch_size):
      part = images[first : first + batch_size]
      whole = np.concatenate([part, np.repeat(part[:1], batch_size - len(part), axis=0)])
      outputs = self._classify(variables, self._parallel.place_map(whole))
      parts.append(self._parallel.fetch_map(outputs)[: len(part)])
    return np.concatenate(parts)

  def _round_up_to_devices(self, count: int) -> int:
    return count + -count % len(self._parallel.devices)


def predict_dataset(
  experiment: Experiment, variables, source, config, predictor: Predictor | None = None
) -> Iterator[tuple[dict, np.ndarray]]:
  """Yields every example of a random-access source with its predicted classes uint8 `[H, W]`, in any order.

  Args:
    predictor: an existing one of the experiment and config, which compiles nothing twice.
  """
  predictor = predictor or Predictor(experiment, config)
  for example, (labels,) in predict_dataset_jointly([(predictor, variables)], source, config):
    yield example, labels


def predict_dataset_jointly(networks, source, config) -> Iterator[tuple[dict, list[np.ndarray]]]:
  """As `predict_dataset`, with several networks: every example is read once and predicted by each.

  Args:
    networks: (predictor, variables) of each.
    config: with the eval fields of all networks.
  """
  meter = ProgressMeter(len(source), "evaluation", "images")
  try:
    for examples in batches_by_size(source, config.eval.batch_size, config.eval.pad_multiple):
      images = [example["image"] for example in examples]
      predictions = [predictor.predict_batch(variables, images) for predictor, variables in networks]
      yield from ((example, list(labels)) for example, *labels in zip(examples, *predictions, strict=True))
      meter.advance(len(examples))
  finally:
    meter.close()
  _LOG.info("evaluation: %d image sizes, one program each", len(networks[0][0].batch_sizes))


def enable_compilation_cache(folder: str) -> None:
  """Makes JAX cache compiled programs in `folder`, unless it has a cache already."""
  if not folder or jax.config.values["jax_compilation_cache_dir"]:
    return
  jax.config.update("jax_compilation_cache_dir", str(local_path(folder).absolute()))
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

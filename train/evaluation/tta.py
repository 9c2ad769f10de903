"""Test-time augmentation: averages predictions over scales, mirror images and sliding windows.

Each function here takes a `PredictFn` and returns one, so they compose: every scale is also mirrored, and
each mirror image is predicted in windows, as published multi-scale results are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from train.evaluation.sliding_window import PredictFn, check_window, sliding_window
from train.experiment.experiment import Experiment


def make_classify_fn(experiment: Experiment, config) -> Callable:
  """Builds the function `(variables, uint8 images [N, H, W, 3]) -> classes uint8 [N, H, W]`, to be compiled.

  Without test-time augmentation it is the argmax of the logits, which needs no softmax.

  Args:
    config: with eval.scales, flip, window and stride.

  Raises:
    ValueError: scales that are not positive; a window or a stride that does not cover every pixel.
  """
  predict = make_predict_fn(experiment)
  augmented = apply_tta(predict, config, experiment.preprocess.mean_rgb)

  def classify(variables, images):
    if augmented is predict:
      scores = _apply_model(experiment, variables, images)
    else:
      scores = augmented(variables, images)
    return scores.argmax(-1).astype(jnp.uint8)

  return classify


def make_predict_fn(experiment: Experiment) -> PredictFn:
  """Builds the function that applies the network once to whole images."""
  return lambda variables, images: jax.nn.softmax(_apply_model(experiment, variables, images))


def _apply_model(experiment: Experiment, variables, images) -> Any:
  return experiment.model.apply(variables, experiment.preprocess(images))


def apply_tta(predict: PredictFn, config, color: tuple[int, int, int]) -> PredictFn:
  """Adds the test-time augmentation of `config.eval`; returns `predict` itself if there is none.

  Args:
    color: RGB, pads images smaller than the window.

  Raises:
    ValueError: as `make_classify_fn`.
  """
  scales, window, stride = (
    tuple(value) for value in (config.eval.scales, config.eval.window, config.eval.stride)
  )
  if not scales or min(scales) <= 0:
    raise ValueError(f"eval.scales: expected positive numbers, got {scales}")
  if any((*window, *stride)):
    check_window(window, stride)
    predict = sliding_window(predict, window, stride, color)
  if config.eval.flip:
    predict = flip_average(predict)
  return predict if scales == (1.0,) else multiscale_average(predict, scales)


def flip_average(predict: PredictFn) -> PredictFn:
  """Averages the predictions for the images and for their mirror images."""
  return lambda variables, images: (
    (predict(variables, images) + predict(variables, images[:, :, ::-1])[:, :, ::-1]) / 2
  )


def multiscale_average(predict: PredictFn, scales: tuple[float, ...]) -> PredictFn:
  """Averages the predictions for the images at several scales, each resized back to the images' size.

  Images and probabilities are resized bilinearly with half-pixel centers and antialiasing, as the training
  augmentation resizes.
  """

  def predict_scales(variables, images):
    native = images.shape[1:3]
    total: Any = 0.0
    for scale in scales:
      height, width = (max(1, round(scale * side)) for side in native)
      total += _resize(predict(variables, _resize(images, (height, width))), native)
    return total / len(scales)

  return predict_scales


def _resize(images, size: tuple[int, int]):
  if images.shape[1:3] == size:
    return images
  return jax.image.resize(images.astype(jnp.float32), (images.shape[0], *size, images.shape[3]), "linear")

"""From images to classes: whole images, at several scales, mirrored, in sliding windows.

Most functions here make a `View` of a view, so that they combine: every scale is seen mirrored too, and
each of those in windows, as the published multi-scale numbers are made.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from train.evaluation.sliding_window import View, check_windows, sliding
from train.experiment.experiment import Experiment


def classifier(experiment: Experiment, config) -> Callable:
  """A function `(variables, uint8 images [N, H, W, 3]) -> classes uint8 [N, H, W]`, to be compiled.

  Without further views it is the argmax of the logits, which costs no softmax.

  Args:
    config: with eval.scales, flip, window and stride.

  Raises:
    ValueError: scales that are not positive; a window or a stride that leaves gaps.
  """

  once = probabilities(experiment)
  view = view_of(once, config, experiment.preprocess.mean_rgb)
  scores = functools.partial(_logits, experiment) if view is once else view

  def classify(variables, images):
    return scores(variables, images).argmax(-1).astype(jnp.uint8)

  return classify


def probabilities(experiment: Experiment) -> View:
  """What the network sees in whole images, once."""
  return lambda variables, images: jax.nn.softmax(_logits(experiment, variables, images))


def _logits(experiment: Experiment, variables, images):
  return experiment.model.apply(variables, experiment.preprocess(images))


def view_of(probabilities: View, config, colour: tuple[int, int, int]) -> View:
  """`probabilities` seen as the config says: itself where that is once, as it is.

  Args:
    colour: RGB, what images smaller than the window are padded with.

  Raises:
    ValueError: as `classifier`.
  """
  scales, window, stride = (
    tuple(value) for value in (config.eval.scales, config.eval.window, config.eval.stride)
  )
  if not scales or min(scales) <= 0:
    raise ValueError(f"eval.scales: expected positive numbers, got {scales}")
  view = probabilities
  if any((*window, *stride)):
    check_windows(window, stride)
    view = sliding(view, window, stride, colour)
  if config.eval.flip:
    view = mirrored(view)
  return view if scales == (1.0,) else scaled(view, scales)


def mirrored(view: View) -> View:
  """The mean of what `view` sees in the images and in their mirror images."""
  return lambda variables, images: (
    (view(variables, images) + view(variables, images[:, :, ::-1])[:, :, ::-1]) / 2
  )


def scaled(view: View, scales: tuple[float, ...]) -> View:
  """The mean of what `view` sees at several scales, each brought back to the images' size.

  Images and probabilities are resized bilinearly, half-pixel centres, smoothed where they shrink: as
  the augmentation of training resizes.
  """

  def mean(variables, images):
    native = images.shape[1:3]
    total = 0.0
    for scale in scales:
      size = tuple(max(1, round(scale * side)) for side in native)
      total += _resized(view(variables, _resized(images, size)), native)
    return total / len(scales)

  return mean


def _resized(images, size: tuple[int, int]):
  if images.shape[1:3] == size:
    return images
  return jax.image.resize(images.astype(jnp.float32), (images.shape[0], *size, images.shape[3]), "linear")

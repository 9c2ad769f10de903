"""Test-time augmentation: scales, mirror images and windows, alone and combined."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers.evaluation import (
  eval_config,
  pixelwise_experiment,
)
from train.evaluation.predictor import Predictor
from train.evaluation.sliding_window import sliding_window
from train.evaluation.tta import apply_tta, flip_average, make_classify_fn, multiscale_average

COLOR = (10, 20, 30)


def test_no_tta_needs_no_softmax(network):
  """Without TTA the classes are the argmax of the logits, which equals that of the probabilities."""
  experiment, variables, probabilities, images = network
  assert apply_tta(probabilities, eval_config(), COLOR) is probabilities
  plain = make_classify_fn(experiment, eval_config())
  assert "exp" not in str(jax.make_jaxpr(plain)(variables, images))
  twice = make_classify_fn(experiment, eval_config(scales=(1.0, 1.0)))
  assert "exp" in str(jax.make_jaxpr(twice)(variables, images))
  found = jax.jit(plain)(variables, images)
  np.testing.assert_array_equal(found, probabilities(variables, images).argmax(-1))
  np.testing.assert_array_equal(found, jax.jit(twice)(variables, images))
  np.testing.assert_array_equal(
    multiscale_average(probabilities, (1.0,))(variables, images), probabilities(variables, images)
  )


def test_flip_average_is_symmetric(network):
  _, variables, probabilities, images = network
  view = jax.jit(flip_average(probabilities))
  seen = view(variables, images)
  np.testing.assert_allclose(view(variables, images[:, :, ::-1]), seen[:, :, ::-1], atol=1e-6)
  np.testing.assert_allclose(seen.sum(-1), 1, atol=1e-5)
  symmetric = np.concatenate([images, images[:, :, ::-1]], axis=2)
  seen = view(variables, symmetric)
  np.testing.assert_allclose(seen, seen[:, :, ::-1], atol=1e-6)
  once = probabilities(variables, symmetric)
  assert np.abs(once - once[:, :, ::-1]).max() > 1e-3, "the network itself is not symmetric"


def test_scales_are_averaged_at_the_images_size():
  """A linear ramp stays linear at every scale away from the border; scaled sides are rounded."""
  sizes = []

  def view(variables, images):
    sizes.append(images.shape[1:3])
    return images * len(sizes)  # distinguishes the scales

  ramp = np.broadcast_to(np.arange(21.0, dtype=np.float32)[None, None, :, None], (2, 14, 21, 3))
  seen = multiscale_average(view, (0.7, 1.0, 2.0))(None, jnp.asarray(ramp))
  assert sizes == [(10, 15), (14, 21), (28, 42)]
  assert seen.shape == ramp.shape
  np.testing.assert_allclose(seen[:, :, 4:-4], ramp[:, :, 4:-4] * (1 + 2 + 3) / 3, atol=0.02)


@pytest.mark.parametrize("parallel", ["pmap", "jit"])
def test_scales_flips_and_windows_combine_on_eight_devices(network, parallel):
  """Scales of mirror images of windows: the predictor equals a loop over scales and flips."""
  experiment, variables, probabilities, images = network
  views = {"scales": (0.75, 1.25), "flip": True, "window": (32, 32), "stride": (16, 24)}
  config = eval_config(**views)
  config.parallel = parallel
  found = Predictor(experiment, config)(variables, images)
  window = sliding_window(probabilities, (32, 32), (16, 24), experiment.preprocess.mean_rgb)
  total = 0
  for size in ((30, 42), (50, 70)):
    scaled_images = jax.image.resize(images.astype(np.float32), (3, *size, 3), "linear")
    for step in (1, -1):
      seen = jax.jit(window)(variables, scaled_images[:, :, ::step])[:, :, ::step]
      total += jax.image.resize(seen, (*images.shape[:3], seen.shape[-1]), "linear") / 4
  assert found.dtype == np.uint8
  assert (found == total.argmax(-1)).mean() > 0.999  # except ties by rounding
  assert (found == probabilities(variables, images).argmax(-1)).mean() < 0.999


@pytest.mark.parametrize(
  ("views", "message"),
  [
    ({"scales": (1.0, 0.0)}, r"eval.scales: expected positive numbers, got \(1.0, 0.0\)"),
    ({"scales": ()}, r"eval.scales: expected positive numbers, got \(\)"),
    ({"window": (32, 32)}, r"eval.window, eval.stride: expected .* got \(32, 32\), \(0, 0\)"),
    ({"window": (32, 32), "stride": (16, 33)}, r"expected .* got \(32, 32\), \(16, 33\)"),
    ({"window": (0, 0), "stride": (16, 16)}, r"expected .* got \(0, 0\), \(16, 16\)"),
    ({"pad_multiple": -1}, r"eval.pad_multiple: expected at least 0, got -1"),
    ({"batch_size": 0}, r"eval.batch_size: expected at least 1, got 0"),
  ],
)
def test_invalid_inference_settings_are_refused(views, message):
  with pytest.raises(ValueError, match=message):
    Predictor(pixelwise_experiment()[0], eval_config(**views))

"""Preprocessing of images for pre-trained weights."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppool_jax.weights import Preprocess
from ppool_jax.weights.preprocess import CAFFE, TORCHVISION


def test_channel_order_and_scale_are_applied():
  """The red channel is the last for Keras and the first for torchvision."""
  red = np.zeros((1, 2, 2, 3), np.uint8)
  red[..., 0] = 255
  keras, torchvision = CAFFE(red), TORCHVISION(red)
  assert keras.dtype == torchvision.dtype == np.float32
  assert keras.shape == red.shape
  np.testing.assert_allclose(keras[0, 0, 0], (-103.939, -116.779, 255 - 123.68), rtol=1e-6)
  expected = ((1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225)
  np.testing.assert_allclose(torchvision[0, 0, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("preprocess", [CAFFE, TORCHVISION])
def test_numpy_jax_and_floating_images_agree(preprocess):
  images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), np.uint8)
  expected = preprocess(images)
  assert isinstance(expected, np.ndarray)
  for other in (jnp.asarray(images), jnp.asarray(images, jnp.float32), images.astype(np.float64)):
    result = preprocess(other)
    assert isinstance(result, jax.Array) == isinstance(other, jax.Array)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
  compiled = jax.jit(preprocess)(jnp.asarray(images[0]))
  np.testing.assert_allclose(compiled, expected[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("preprocess", [CAFFE, TORCHVISION])
def test_mean_rgb_becomes_almost_zero(preprocess):
  """Within half a gray level."""
  gray_level = preprocess.scale / min(preprocess.std)
  color = np.array(preprocess.mean_rgb, np.uint8)
  assert np.abs(preprocess(color)).max() <= gray_level / 2
  assert preprocess.mean_rgb == {"BGR": (124, 117, 104), "RGB": (124, 116, 104)}[preprocess.order]
  assert all(type(value) is int for value in preprocess.mean_rgb)


def test_mean_rgb_is_clipped_to_uint8():
  assert Preprocess(mean=(-1, 300, 0.6)).mean_rgb == (0, 255, 1)


@pytest.mark.parametrize("preprocess", [CAFFE, TORCHVISION, Preprocess(mean=(1, 2, 3))])
def test_dict_survives_json(preprocess):
  restored = Preprocess.from_dict(json.loads(json.dumps(preprocess.as_dict())))
  assert restored == preprocess
  assert hash(restored) == hash(preprocess)


@pytest.mark.parametrize(
  ("fields", "part"),
  [
    ({"mean": (1, 2)}, "mean: expected 3 finite numbers, got (1, 2)"),
    ({"mean": "abc"}, "mean: expected 3 finite numbers, got 'abc'"),
    ({"mean": (0, np.nan, 0)}, "mean: expected 3 finite numbers"),
    ({"mean": (0, 0, 0), "std": (1, 0, 1)}, "std: expected 3 positive, finite numbers"),
    ({"mean": (0, 0, 0), "scale": -1}, "scale: expected 1 positive, finite number, got [-1]"),
    ({"mean": (0, 0, 0), "order": "rgb"}, """order: expected "RGB" or "BGR", got 'rgb'"""),
  ],
)
def test_invalid_fields_are_refused(fields, part):
  with pytest.raises(ValueError, match="expected") as caught:
    Preprocess(**fields)
  assert part in str(caught.value)


def test_dict_with_other_keys_is_refused():
  fields = CAFFE.as_dict()
  with pytest.raises(ValueError, match=r"expected the keys .*'mean'.*, got .*'median'"):
    Preprocess.from_dict({**fields, "median": 0})
  with pytest.raises(ValueError, match="expected the keys"):
    Preprocess.from_dict({"order": "RGB"})


def test_invalid_images_are_refused():
  with pytest.raises(ValueError, match=r"expected shape \[\.\.\., 3\] \(RGB\), got \[1, 4, 4, 4\]"):
    CAFFE(np.zeros((1, 4, 4, 4), np.uint8))
  for wrong in (np.zeros((2, 2, 3), np.int32), [[0, 0, 0]]):
    with pytest.raises(TypeError, match="expected an array, uint8 or floating"):
      CAFFE(wrong)

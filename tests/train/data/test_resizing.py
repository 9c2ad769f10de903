"""Resizing of a window of an example: pixel positions and the filter."""

import cv2
import numpy as np
import pytest
from PIL import Image

from train.data.transforms.resize import resize

FACTORS = [0.3, 0.5, 0.64, 0.9, 1.0, 1.13, 1.7, 2.0, 3.2]


def whole(example, factor):
  size = scaled(example, factor)
  return resize(example, size, tuple(slice(0, length) for length in size))


def scaled(example, factor):
  return tuple(round(side * factor) for side in example["label"].shape)


def example(image):
  label = np.random.default_rng(1).integers(0, 19, image.shape[:2], np.uint8)
  return {"image": np.ascontiguousarray(image), "label": label}


def noise(size=(48, 70), seed=0):
  return example(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8))


def flipped(given):
  return {key: value[:, ::-1] for key, value in given.items()}


@pytest.mark.parametrize("factor", FACTORS)
def test_pixel_centers_are_at_half_integers(factor):
  """On a ramp, each value is the position it was read from, accurate to a fifth of an input pixel."""
  height, width = 70, 60
  ramp = np.broadcast_to(np.arange(width)[:, None] * 4, (height, width, 3)).astype(np.uint8)
  for axes in [(0, 1, 2), (1, 0, 2)]:
    given = example(ramp.transpose(axes))
    size = scaled(given, factor)
    window = slice(size[0] // 4, size[0] // 4 * 3), slice(size[1] // 3, size[1] - size[1] // 5)
    image = resize(given, size, window)["image"].astype(float).transpose(axes)
    part, length = (window[1], size[1]) if axes[0] == 0 else (window[0], size[0])
    centers = (np.arange(part.start, part.stop) + 0.5) * width / length - 0.5
    inside = (centers > 3) & (centers < width - 4)  # beyond, the blur feels the border
    assert inside.sum() > 4
    assert (
      np.abs(image / 4 - centers[:, None])[:, inside].max() <= 0.2
    )  # a gray level is a quarter of a pixel


@pytest.mark.parametrize("factor", FACTORS)
def test_window_equals_that_of_the_whole_image(factor):
  given = noise((90, 130))
  made, size, rng = whole(given, factor), scaled(given, factor), np.random.default_rng(0)
  for _ in range(30):
    window = tuple(slice(*np.sort(rng.choice(length + 1, 2, replace=False)).tolist()) for length in size)
    part = resize(given, size, window)
    np.testing.assert_array_equal(part["label"], made["label"][window])
    difference = np.abs(part["image"].astype(int) - made["image"][window])
    assert difference.max() <= 3  # noise is the worst case


def test_factor_1_is_the_identity():
  given = noise()
  window = slice(5, 31), slice(17, 60)
  for key, value in resize(given, (48, 70), window).items():
    np.testing.assert_array_equal(value, given[key][window])


@pytest.mark.parametrize("factor", FACTORS)
def test_resize_commutes_with_flip(factor):
  given = noise()
  after, expected = whole(flipped(given), factor), flipped(whole(given, factor))
  assert np.abs(after["image"].astype(int) - expected["image"]).max() <= 1


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("value", [1, 128, 254, 255])
def test_flat_image_stays_flat(factor, value):
  assert (whole(example(np.full((40, 50, 3), value, np.uint8)), factor)["image"] == value).all()


@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_integer_shrinking_equals_pillows(parts):
  given = noise((48, 72))
  height, width = 48 // parts, 72 // parts
  image = whole(given, 1 / parts)["image"].astype(int)
  expected = Image.fromarray(given["image"]).resize((width, height), Image.Resampling.BILINEAR)
  inside = slice(1, -1), slice(1, -1)  # Pillow's filter ends at the border, this one repeats it
  assert np.abs(image - np.asarray(expected))[inside].max() <= 2


@pytest.mark.parametrize("factor", [0.4, 0.6])
def test_fine_stripes_do_not_alias(factor):
  """Without the blur, stripes of one pixel would alias to wide ones."""
  given = example(np.tile(np.uint8([0, 255]), (60, 60))[..., None].repeat(3, -1))
  height, width = scaled(given, factor)
  plain = cv2.resize(given["image"], (width, height), interpolation=cv2.INTER_LINEAR)
  contrast, before = (np.ptp(image[:, 2:-2].astype(int)) for image in (whole(given, factor)["image"], plain))
  assert before > 120
  assert contrast < 0.5 * before


@pytest.mark.parametrize(
  ("size", "target"), [((1, 1), (7, 5)), ((9, 8), (1, 1)), ((1, 60), (1, 7)), ((3, 2), (900, 2))]
)
def test_extreme_sizes(size, target):
  given = noise(size)
  window = tuple(slice(length // 2, length) for length in target)
  after = resize(given, target, window)
  assert after["image"].shape == (*after["label"].shape, 3)
  assert after["label"].shape == tuple(length - length // 2 for length in target)

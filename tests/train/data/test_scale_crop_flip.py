"""Geometric transforms: the positions of pixels and labels after scale, crop and flip."""

import re

import numpy as np
import pytest

from tests.helpers.transforms import MEAN, blocks, example, rng
from train.data.classes import IGNORE
from train.data.transforms.geometric import RandomCrop, RandomFlip, RandomScale, RandomScaledCrop


class TestScale:
  @pytest.mark.parametrize("factor", [0.5, 0.75, 1.0, 1.37, 2.0])
  def test_scaled_size_and_label_values(self, factor):
    given = example((24, 32))
    after = RandomScale(factor, factor)(given, rng())
    assert after["label"].shape == (round(24 * factor), round(32 * factor))
    assert set(np.unique(after["label"])) <= set(np.unique(given["label"]))

  def test_factor_1_changes_nothing(self):
    given = example()
    after = RandomScale(1, 1)(given, rng())
    np.testing.assert_array_equal(after["image"], given["image"])
    np.testing.assert_array_equal(after["label"], given["label"])

  def test_factor_2_repeats_every_label(self):
    given = example()
    after = RandomScale(2, 2)(given, rng())
    np.testing.assert_array_equal(after["label"], given["label"].repeat(2, 0).repeat(2, 1))

  @pytest.mark.parametrize("factor", [0.5, 0.6, 0.77, 1.0, 1.3, 1.62, 2.0])
  def test_image_and_label_agree_within_half_a_pixel(self, factor):
    after = RandomScale(factor, factor)(blocks(), rng())
    white = after["image"][..., 0].astype(int)
    labeled = after["label"] == 9
    # Where the image is clearly one block's color, the label says the same; along each row and column
    # the place where the image crosses gray is within half a pixel of the place where the label changes.
    assert (labeled[white > 191]).all()
    assert not labeled[white < 64].any()
    for image, label in [(white, labeled), (white.T, labeled.T)]:
      middle = 4
      for k in np.flatnonzero(label[middle, 1:] != label[middle, :-1]):
        left, right = image[middle, k : k + 2]
        crossing = k + (127.5 - left) / (right - left)
        assert abs(crossing - (k + 0.5)) <= 0.51  # the pixels have 8 bits

  def test_factors_cover_the_range(self):
    widths = [RandomScale(0.5, 2.0)(example((40, 40)), rng(seed))["label"].shape[1] for seed in range(200)]
    assert 20 <= min(widths) < 23
    assert 77 < max(widths) <= 80
    assert abs(np.mean(widths) - 50) < 4

  def test_size_is_at_least_a_pixel(self):
    assert RandomScale(0.1, 0.1)(example((3, 3)), rng())["label"].shape == (1, 1)

  @pytest.mark.parametrize("limits", [(0, 1), (-1, 1), (2, 1), (float("nan"), 1)])
  def test_error_names_the_field(self, limits):
    with pytest.raises(ValueError, match=re.escape(f"data.scale: expected 0 < low <= high, got {limits}")):
      RandomScale(*limits)


class TestCrop:
  def test_crop_of_equal_size_is_the_identity(self):
    given = example()
    after = RandomCrop(24, 32, MEAN)(given, rng())
    np.testing.assert_array_equal(after["image"], given["image"])
    np.testing.assert_array_equal(after["label"], given["label"])

  def test_crop_lies_inside_a_larger_example(self):
    given, places = example((24, 32)), set()
    for seed in range(300):
      after = RandomCrop(20, 30, MEAN)(given, rng(seed))
      top, left = after["image"][0, 0, :2] // 3
      places.add((int(top), int(left)))
      np.testing.assert_array_equal(after["image"], given["image"][top : top + 20, left : left + 30])
      np.testing.assert_array_equal(after["label"], given["label"][top : top + 20, left : left + 30])
    assert places == {(top, left) for top in range(5) for left in range(3)}

  def test_crop_contains_a_smaller_example(self):
    given, places = example((6, 5)), set()
    for seed in range(300):
      after = RandomCrop(8, 9, MEAN)(given, rng(seed))
      image, label, place = self.unpad(after, (6, 5))
      np.testing.assert_array_equal(image, given["image"])
      np.testing.assert_array_equal(label, given["label"])
      places.add(place)
    assert places == {(top, left) for top in range(3) for left in range(5)}

  @staticmethod
  def unpad(after, size):
    """Returns the content and its position, and asserts that the padding is the mean color and ignored."""
    inside = (after["image"] != MEAN).any(-1)
    top, left = (int(np.flatnonzero(inside.any(axis))[0]) for axis in (1, 0))
    window = slice(top, top + size[0]), slice(left, left + size[1])
    outside = np.ones(inside.shape, bool)
    outside[window] = False
    assert outside.sum() == inside.size - size[0] * size[1]
    assert (after["image"][outside] == MEAN).all()
    assert (after["label"][outside] == IGNORE).all()
    return after["image"][window], after["label"][window], (top, left)

  def test_crop_with_one_longer_and_one_shorter_side(self):
    given = example((24, 6))
    after = RandomCrop(10, 8, MEAN)(given, rng(3))
    image, label, (row, _) = self.unpad(after, (10, 6))
    top = int(image[0, 0, 0]) // 3
    assert row == 0
    np.testing.assert_array_equal(image, given["image"][top : top + 10])
    np.testing.assert_array_equal(label, given["label"][top : top + 10])

  @pytest.mark.parametrize("size", [(0, 4), (4, -1)])
  def test_error_names_the_field(self, size):
    expected = re.escape(f"data.crop: expected positive (height, width), got {size}")
    with pytest.raises(ValueError, match=expected):
      RandomCrop(*size, mean=MEAN)


@pytest.mark.parametrize(
  ("shape", "crop"), [((40, 60), (20, 24)), ((17, 90), (33, 31)), ((64, 48), (7, 100)), ((90, 120), (60, 60))]
)
def test_scaled_crop_equals_scale_then_crop(shape, crop):
  """For the same random numbers, with crops larger and smaller than the image."""
  scale, crop = RandomScale(0.5, 2.0), RandomCrop(*crop, MEAN)
  given = example(shape)
  for seed in range(60):
    random, expected = rng(seed), rng(seed)
    after = RandomScaledCrop(scale, crop)(given, random)
    before = crop(scale(given, expected), expected)
    np.testing.assert_array_equal(after["label"], before["label"], err_msg=f"seed {seed}")
    difference = np.abs(after["image"].astype(int) - before["image"])
    assert difference.max() <= 2, seed
    assert difference.mean() < 0.2, seed
    assert random.random() == expected.random()


def test_flip_applies_to_image_and_label_together():
  given, flipped = example(), 0
  for seed in range(200):
    after = RandomFlip()(given, rng(seed))
    turned = not np.array_equal(after["image"], given["image"])
    flipped += turned
    step = -1 if turned else 1
    np.testing.assert_array_equal(after["image"], given["image"][:, ::step])
    np.testing.assert_array_equal(after["label"], given["label"][:, ::step])
  assert 75 < flipped < 125

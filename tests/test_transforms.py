"""Augmentation: image and label stay together, and each transform does what it says and no more."""

import re
import types

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from train.data.classes import IGNORE
from train.data.transforms import (
  Chain,
  PhotometricDistortion,
  RandomCrop,
  RandomFlip,
  RandomScale,
  RandomScaledCrop,
  augmentation,
)

MEAN = (124, 116, 104)
ALL = {
  "scale": RandomScale(0.5, 2.0),
  "crop": RandomCrop(20, 24, MEAN),
  "scaled crop": RandomScaledCrop(RandomScale(0.5, 2.0), RandomCrop(20, 24, MEAN)),
  "flip": RandomFlip(),
  "photometric": PhotometricDistortion(1.0),
}


def rng(seed=0):
  return np.random.default_rng(seed)


def example(size=(24, 32), seed=0):
  """Every pixel another colour (row, column, noise); labels 0..10 and 255."""
  rows, columns = np.indices(size)
  noise = rng(seed).integers(0, 256, size)
  image = np.stack([rows * 3, columns * 3, noise], -1).astype(np.uint8)
  label = rng(seed + 1).choice([*range(11), IGNORE], size).astype(np.uint8)
  return {"id": "a", "image": image, "label": label}


def blocks(size=(48, 64), edge=16):
  """A chessboard of black and white blocks, labelled 3 and 9."""
  rows, columns = np.indices(size) // edge
  white = (rows + columns) % 2
  image = np.repeat((white * 255).astype(np.uint8)[..., None], 3, -1)
  return {"id": "b", "image": image, "label": np.where(white, 9, 3).astype(np.uint8)}


@pytest.mark.parametrize("name", ALL)
def test_input_is_left_alone_and_output_is_whole(name):
  before = example()
  given = {key: np.array(value) if key != "id" else value for key, value in before.items()}
  for seed in range(8):
    after = ALL[name](given, rng(seed))
    assert set(after) == {"id", "image", "label"}
    assert after["id"] == "a"
    assert after["image"].dtype == after["label"].dtype == np.uint8
    assert after["image"].shape == (*after["label"].shape, 3)
    np.testing.assert_array_equal(given["image"], before["image"])
    np.testing.assert_array_equal(given["label"], before["label"])


@pytest.mark.parametrize("name", ALL)
def test_read_only_input_will_do(name):
  given = example()
  given["image"].flags.writeable = given["label"].flags.writeable = False
  for seed in range(4):
    ALL[name](given, rng(seed))


@pytest.mark.parametrize("name", ALL)
def test_function_of_the_generator(name):
  outcomes = []
  for seed in (0, 1, 2, 3, 4, 5, 6, 7):
    first, second = (ALL[name](example(), rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(first["image"], second["image"])
    np.testing.assert_array_equal(first["label"], second["label"])
    outcomes.append(first["image"].tobytes())
  assert len(set(outcomes)) > 1


class TestScale:
  @pytest.mark.parametrize("factor", [0.5, 0.75, 1.0, 1.37, 2.0])
  def test_size_and_labels(self, factor):
    given = example((24, 32))
    after = RandomScale(factor, factor)(given, rng())
    assert after["label"].shape == (round(24 * factor), round(32 * factor))
    assert set(np.unique(after["label"])) <= set(np.unique(given["label"]))

  def test_factor_1_changes_nothing(self):
    given = example()
    after = RandomScale(1, 1)(given, rng())
    np.testing.assert_array_equal(after["image"], given["image"])
    np.testing.assert_array_equal(after["label"], given["label"])

  def test_doubling_repeats_every_label(self):
    given = example()
    after = RandomScale(2, 2)(given, rng())
    np.testing.assert_array_equal(after["label"], given["label"].repeat(2, 0).repeat(2, 1))

  @pytest.mark.parametrize("factor", [0.5, 0.6, 0.77, 1.0, 1.3, 1.62, 2.0])
  def test_image_and_label_agree_within_half_a_pixel(self, factor):
    after = RandomScale(factor, factor)(blocks(), rng())
    white = after["image"][..., 0].astype(int)
    labelled = after["label"] == 9
    # Where the image is clearly one block's colour, the label says the same; along each row and column
    # the place where the image crosses grey is within half a pixel of the place where the label changes.
    assert (labelled[white > 191]).all()
    assert not labelled[white < 64].any()
    for image, label in [(white, labelled), (white.T, labelled.T)]:
      middle = 4
      for k in np.flatnonzero(label[middle, 1:] != label[middle, :-1]):
        left, right = image[middle, k : k + 2]
        crossing = k + (127.5 - left) / (right - left)
        assert abs(crossing - (k + 0.5)) <= 0.51  # the pixels have 8 bits

  def test_factors_fill_the_range(self):
    widths = [RandomScale(0.5, 2.0)(example((40, 40)), rng(seed))["label"].shape[1] for seed in range(200)]
    assert 20 <= min(widths) < 23
    assert 77 < max(widths) <= 80
    assert abs(np.mean(widths) - 50) < 4

  def test_never_smaller_than_a_pixel(self):
    assert RandomScale(0.1, 0.1)(example((3, 3)), rng())["label"].shape == (1, 1)

  @pytest.mark.parametrize("limits", [(0, 1), (-1, 1), (2, 1), (float("nan"), 1)])
  def test_error_names_the_field(self, limits):
    with pytest.raises(ValueError, match=re.escape(f"data.scale: expected 0 < low <= high, got {limits}")):
      RandomScale(*limits)


class TestCrop:
  def test_exact_size_is_the_identity(self):
    given = example()
    after = RandomCrop(24, 32, MEAN)(given, rng())
    np.testing.assert_array_equal(after["image"], given["image"])
    np.testing.assert_array_equal(after["label"], given["label"])

  def test_inside_a_larger_example(self):
    given, places = example((24, 32)), set()
    for seed in range(300):
      after = RandomCrop(20, 30, MEAN)(given, rng(seed))
      top, left = after["image"][0, 0, :2] // 3
      places.add((int(top), int(left)))
      np.testing.assert_array_equal(after["image"], given["image"][top : top + 20, left : left + 30])
      np.testing.assert_array_equal(after["label"], given["label"][top : top + 20, left : left + 30])
    assert places == {(top, left) for top in range(5) for left in range(3)}

  def test_around_a_smaller_example(self):
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
    """The content and its place, where all around it is the mean and ignored."""
    inside = (after["image"] != MEAN).any(-1)
    top, left = (int(np.flatnonzero(inside.any(axis))[0]) for axis in (1, 0))
    window = slice(top, top + size[0]), slice(left, left + size[1])
    outside = np.ones(inside.shape, bool)
    outside[window] = False
    assert outside.sum() == inside.size - size[0] * size[1]
    assert (after["image"][outside] == MEAN).all()
    assert (after["label"][outside] == IGNORE).all()
    return after["image"][window], after["label"][window], (top, left)

  def test_one_side_longer_and_one_shorter(self):
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
def test_scaled_crop_is_scale_then_crop(shape, crop):
  """With the same numbers drawn, for crops that are larger and smaller than the image."""
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


def test_flip_turns_both_or_neither():
  given, flipped = example(), 0
  for seed in range(200):
    after = RandomFlip()(given, rng(seed))
    turned = not np.array_equal(after["image"], given["image"])
    flipped += turned
    step = -1 if turned else 1
    np.testing.assert_array_equal(after["image"], given["image"][:, ::step])
    np.testing.assert_array_equal(after["label"], given["label"][:, ::step])
  assert 75 < flipped < 125


class TestPhotometric:
  def test_labels_are_left_and_colours_change(self):
    given, changed = example(), 0
    for seed in range(100):
      after = PhotometricDistortion()(given, rng(seed))
      np.testing.assert_array_equal(after["label"], given["label"])
      assert after["image"].shape == given["image"].shape
      changed += not np.array_equal(after["image"], given["image"])
    assert 80 < changed < 100  # all four are skipped once in sixteen

  def test_places_are_left(self):
    """A flat image stays flat, and where the colours are equal they stay equal."""
    given = blocks()
    for seed in range(20):
      after = PhotometricDistortion(2.0)(given, rng(seed))["image"]
      for label in (3, 9):
        assert len(np.unique(after[given["label"] == label], axis=0)) == 1

  def test_strength_0_keeps_colours_up_to_rounding(self):
    given = example()
    for seed in range(20):
      after = PhotometricDistortion(0)(given, rng(seed))["image"]
      difference = np.abs(after.astype(int) - given["image"])
      assert difference.max() <= 1

  def test_grey_stays_grey(self):
    """Saturation and hue leave it; contrast and brightness keep its channels equal."""
    given = example()
    grey = given["image"].mean(-1, keepdims=True).astype(np.uint8).repeat(3, -1)
    for seed in range(40):
      after = PhotometricDistortion()({**given, "image": grey}, rng(seed))["image"].astype(int)
      assert np.ptp(after, axis=-1).max() <= 1

  def test_against_pillow(self):
    """Brightness, contrast and saturation as Pillow's, one after the other; no hue, nothing clipped."""
    given = example((64, 64))
    given["image"] = (given["image"] // 4 + 96).astype(np.uint8)
    seen = 0
    for seed in range(200):
      spreads, random = np.array([0.125, 0.5, 0.5, 18.0]), rng(seed)
      drawn = random.uniform(-spreads, spreads) * (random.random(4) < 0.5)
      if drawn[3]:
        continue
      expected = Image.fromarray(given["image"])
      for enhance, change in zip(
        (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), drawn, strict=False
      ):
        expected = enhance(expected).enhance(1 + change)
      after = PhotometricDistortion()(given, rng(seed))["image"].astype(int)
      assert np.abs(after - np.asarray(expected)).max() <= 4, seed
      seen += 1
    assert seen > 50

  def test_strength_scales_the_change(self):
    given = example((40, 40))

    def change(strength):
      distort = PhotometricDistortion(strength)
      changed = np.stack([distort(given, rng(seed))["image"] for seed in range(50)]).astype(int)
      return np.abs(changed - given["image"]).mean()

    assert change(0.25) < 0.7 * change(0.5)
    assert change(0.5) < 0.8 * change(1.0)

  @pytest.mark.parametrize("strength", [-0.1, 2.1, float("nan")])
  def test_error_names_the_field(self, strength):
    with pytest.raises(ValueError, match=f"data.photometric: expected 0 to 2, got {strength}"):
      PhotometricDistortion(strength)


class TestChain:
  def config(self, **changes):
    fields = {"scale": (0.5, 2.0), "crop": (20, 24), "flip": True, "photometric": 1.0}
    return types.SimpleNamespace(**{**fields, **changes})

  def test_what_the_config_asks_for(self):
    chosen = tuple(ALL[name] for name in ("scaled crop", "flip", "photometric"))
    assert augmentation(self.config(), MEAN) == Chain(chosen)
    plain = augmentation(self.config(flip=False, photometric=0), MEAN)
    assert plain == Chain((ALL["scaled crop"],))

  def test_size_and_labels_of_the_whole_chain(self):
    given = example()
    for seed in range(30):
      after = augmentation(self.config(), MEAN)(given, rng(seed))
      assert after["image"].shape == (20, 24, 3)
      assert after["label"].shape == (20, 24)
      assert set(np.unique(after["label"])) <= {*range(11), IGNORE}

  def test_one_generator_for_all(self):
    given, chain, together = example(), Chain((ALL["scale"], ALL["crop"])), rng(5)
    expected = ALL["crop"](ALL["scale"](given, together), together)
    np.testing.assert_array_equal(chain(given, rng(5))["image"], expected["image"])

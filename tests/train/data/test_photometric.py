"""Photometric distortion changes colors as Pillow does, and neither labels nor positions."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tests.helpers.transforms import blocks, example, rng
from train.data.transforms.photometric import PhotometricDistortion


def test_colors_change_and_labels_do_not():
  given, changed = example(), 0
  for seed in range(100):
    after = PhotometricDistortion()(given, rng(seed))
    np.testing.assert_array_equal(after["label"], given["label"])
    assert after["image"].shape == given["image"].shape
    changed += not np.array_equal(after["image"], given["image"])
  assert 80 < changed < 100  # all four are skipped once in sixteen


def test_flat_regions_stay_flat():
  """Pixels of equal color still have equal colors."""
  given = blocks()
  for seed in range(20):
    after = PhotometricDistortion(2.0)(given, rng(seed))["image"]
    for label in (3, 9):
      assert len(np.unique(after[given["label"] == label], axis=0)) == 1


def test_strength_0_changes_colors_only_by_rounding():
  given = example()
  for seed in range(20):
    after = PhotometricDistortion(0)(given, rng(seed))["image"]
    difference = np.abs(after.astype(int) - given["image"])
    assert difference.max() <= 1


def test_gray_stays_gray():
  """Saturation and hue do not change gray; contrast and brightness keep the channels equal."""
  given = example()
  gray = given["image"].mean(-1, keepdims=True).astype(np.uint8).repeat(3, -1)
  for seed in range(40):
    after = PhotometricDistortion()({**given, "image": gray}, rng(seed))["image"].astype(int)
    assert np.ptp(after, axis=-1).max() <= 1


def test_result_equals_pillows():
  """Compares brightness, contrast and saturation in sequence, without hue and clipping."""
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


def test_change_grows_with_strength():
  given = example((40, 40))

  def change(strength):
    distort = PhotometricDistortion(strength)
    changed = np.stack([distort(given, rng(seed))["image"] for seed in range(50)]).astype(int)
    return np.abs(changed - given["image"]).mean()

  assert change(0.25) < 0.7 * change(0.5)
  assert change(0.5) < 0.8 * change(1.0)


@pytest.mark.parametrize("strength", [-0.1, 2.1, float("nan")])
def test_invalid_strength_is_rejected(strength):
  with pytest.raises(ValueError, match=f"data.photometric: expected 0 to 2, got {strength}"):
    PhotometricDistortion(strength)

"""Pictures of label maps."""

import numpy as np

from train.data.datasets.camvid_classes import CAMVID
from train.visualization.colorize import overlay, to_palette_image


def test_palette_and_overlay_show_the_class_colors():
  labels = np.array([[0, 2], [255, 10]], np.uint8)
  image = to_palette_image(labels, CAMVID)
  np.testing.assert_array_equal(np.asarray(image), labels)
  np.testing.assert_array_equal(np.asarray(image.convert("RGB"))[0, 1], [192, 192, 128])
  white = np.full((2, 2, 3), 255, np.uint8)
  np.testing.assert_array_equal(overlay(white, labels, CAMVID, 1.0), np.asarray(image.convert("RGB")))
  np.testing.assert_array_equal(overlay(white, labels, CAMVID, 0.0), white)

"""CamVid's classes, and the checks of every class table."""

import re

import numpy as np
import pytest

from tests.helpers.camvid import (
  PUBLISHED,
)
from train.data.classes import IGNORE, ClassTable, LabelClass
from train.data.datasets.camvid import colors_to_raw_ids
from train.data.datasets.camvid_classes import CAMVID, OFFICIAL_COLORS
from train.data.registry import get_dataset


class TestClasses:
  def test_class_names_and_thin_classes(self):
    assert CAMVID.num_classes == 11
    assert CAMVID.names == tuple(PUBLISHED)[:11]
    assert [CAMVID.names[k] for k in CAMVID.thin] == [
      "Pole",
      "SignSymbol",
      "Fence",
      "Pedestrian",
      "Bicyclist",
    ]

  def test_palette_has_segnets_colors(self):
    palette = CAMVID.palette()
    assert palette.dtype == np.uint8
    assert palette.shape == (256, 3)
    colors = [(128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (0, 0, 192), (128, 128, 0),
               (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192)]  # fmt: skip
    assert [tuple(color) for color in palette[:11].tolist()] == colors
    assert not palette[11:].any()

  def test_official_colors_equal_the_published_table(self):
    names = [row.name for row in sorted(CAMVID.rows, key=lambda row: row.raw_id)]
    published = {color: names.index(name) for name, parts in PUBLISHED.items() for color in parts.values()}
    assert len(published) == 32
    assert published == OFFICIAL_COLORS

  def test_every_official_color_has_a_raw_id(self):
    colors = np.array(list(OFFICIAL_COLORS), np.uint8).reshape(4, 8, 3)
    expected = np.array(list(OFFICIAL_COLORS.values()), np.uint8).reshape(4, 8)
    np.testing.assert_array_equal(colors_to_raw_ids(colors, "x"), expected)

  def test_raw_ids_map_to_train_ids(self):
    mapped = CAMVID.to_train_ids(np.arange(12).reshape(3, 4), "x")
    assert mapped.dtype == np.uint8
    np.testing.assert_array_equal(mapped.ravel(), [*range(11), IGNORE])

  @pytest.mark.parametrize("value", [12, 200, 255])
  def test_unknown_raw_id_is_rejected(self, value):
    with pytest.raises(ValueError, match=rf"some\.png: label {value} is not"):
      CAMVID.to_train_ids(np.array([[0, value]], np.uint8), "some.png")

  def test_duplicate_raw_ids_are_rejected(self):
    rows = [LabelClass("a", 3, 0, (0, 0, 0)), LabelClass("b", 3, 1, (1, 1, 1))]
    with pytest.raises(ValueError, match=r"raw ids: .*\[3, 3\]"):
      ClassTable(rows)

  @pytest.mark.parametrize("ids", [(0, 2), (1, 2), (0, 0)])
  def test_gaps_in_train_ids_are_rejected(self, ids):
    rows = [LabelClass(str(raw), raw, train, (0, 0, 0)) for raw, train in enumerate(ids)]
    with pytest.raises(ValueError, match=re.escape(f"train ids: expected 0..K-1, got {list(ids)}")):
      ClassTable(rows)

  def test_registry_has_the_table(self):
    assert get_dataset("camvid").table is CAMVID
    with pytest.raises(ValueError, match="did you mean 'camvid'"):
      get_dataset("camvit")

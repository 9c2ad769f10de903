"""Tiny CamVid folders in SegNet's layout, the published classes, and the location of the real data set."""

import pathlib

import numpy as np
import pytest

from tests.helpers.assets import ASSETS
from tests.helpers.datasets import SIZE, examples, pixels, save
from train.data.registry import open_prepared
from train.prepare import prepare

REAL = ASSETS / "camvid"

# The publisher's label_colors.txt, grouped by SegNet's 11 classes.
PUBLISHED = {
  "Sky": {"Sky": (128, 128, 128)},
  "Building": {
    "Archway": (192, 0, 128),
    "Bridge": (0, 128, 64),
    "Building": (128, 0, 0),
    "Tunnel": (64, 0, 64),
    "Wall": (64, 192, 0),
  },
  "Pole": {"Column_Pole": (192, 192, 128), "TrafficCone": (0, 0, 64)},
  "Road": {"LaneMkgsDriv": (128, 0, 192), "LaneMkgsNonDriv": (192, 0, 64), "Road": (128, 64, 128)},
  "Pavement": {"ParkingBlock": (64, 192, 128), "RoadShoulder": (128, 128, 192), "Sidewalk": (0, 0, 192)},
  "Tree": {"Tree": (128, 128, 0), "VegetationMisc": (192, 192, 0)},
  "SignSymbol": {"Misc_Text": (128, 128, 64), "SignSymbol": (192, 128, 128), "TrafficLight": (0, 64, 64)},
  "Fence": {"Fence": (64, 64, 128)},
  "Car": {
    "Car": (64, 0, 128),
    "OtherMoving": (128, 64, 64),
    "SUVPickupTruck": (64, 128, 192),
    "Train": (192, 64, 128),
    "Truck_Bus": (192, 128, 192),
  },
  "Pedestrian": {
    "Animal": (64, 128, 64),
    "CartLuggagePram": (64, 0, 192),
    "Child": (192, 128, 64),
    "Pedestrian": (64, 64, 0),
  },
  "Bicyclist": {"Bicyclist": (0, 128, 192), "MotorcycleScooter": (192, 0, 192)},
  "Void": {"Void": (0, 0, 0)},
}


def raw_label(seed, size=SIZE):
  """A random label map in which every raw id occurs."""
  label = np.random.default_rng(seed).integers(0, 12, size, np.uint8)
  label.flat[:12] = range(12)
  return label


def camvid_train_ids(raw):
  return np.where(raw == 11, 255, raw)


def write_lists(source, counts, prefix=""):
  """Writes SegNet's layout; example N of a split consists of pixels(N) and raw_label(N)."""
  for split, numbers in counts.items():
    lines = []
    for number in numbers:
      save(source / split / f"{number}.png", pixels(number))
      save(source / f"{split}annot" / f"{number}.png", raw_label(number))
      lines.append(f"{prefix}{split}/{number}.png {prefix}{split}annot/{number}.png\n")
    (source / f"{split}.txt").write_text("".join(lines))
  return source


def assert_not_prepared(folder, reason):
  """Asserts that nothing incomplete is left, so that valid files can be prepared afterwards."""
  assert not list(pathlib.Path(folder).rglob("*.json"))
  assert not list(pathlib.Path(folder).rglob("*array_record*"))
  with pytest.raises(FileNotFoundError, match="not prepared"):
    open_prepared("camvid", "train", str(folder))
  valid = write_lists(folder.parent / "valid", {"train": [20, 21], "val": [22]})
  prepare("camvid", str(valid), str(folder))
  assert set(examples("camvid", "train", folder)) == {"20", "21"}, reason

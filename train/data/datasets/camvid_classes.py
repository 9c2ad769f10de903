"""CamVid's 11 classes of SegNet (Badrinarayanan et al., 2017), and the official 32 that they group."""

from __future__ import annotations

from train.data.classes import IGNORE, ClassTable, LabelClass

CAMVID = ClassTable(
  [
    LabelClass("Sky", 0, 0, (128, 128, 128)),
    LabelClass("Building", 1, 1, (128, 0, 0)),
    LabelClass("Pole", 2, 2, (192, 192, 128), thin=True),
    LabelClass("Road", 3, 3, (128, 64, 128)),
    LabelClass("Pavement", 4, 4, (0, 0, 192)),
    LabelClass("Tree", 5, 5, (128, 128, 0)),
    LabelClass("SignSymbol", 6, 6, (192, 128, 128), thin=True),
    LabelClass("Fence", 7, 7, (64, 64, 128), thin=True),
    LabelClass("Car", 8, 8, (64, 0, 128)),
    LabelClass("Pedestrian", 9, 9, (64, 64, 0), thin=True),
    LabelClass("Bicyclist", 10, 10, (0, 128, 192), thin=True),
    LabelClass("Void", 11, IGNORE, (0, 0, 0)),
  ]
)

# The publisher's 32 colors by raw id of the 11 classes.
_MEMBERS = {
  0: [(128, 128, 128)],  # Sky
  1: [(128, 0, 0), (192, 0, 128), (0, 128, 64), (64, 0, 64), (64, 192, 0)],  # + Archway Bridge Tunnel Wall
  2: [(192, 192, 128), (0, 0, 64)],  # Column_Pole TrafficCone
  3: [(128, 64, 128), (128, 0, 192), (192, 0, 64)],  # Road LaneMkgsDriv LaneMkgsNonDriv
  4: [(0, 0, 192), (64, 192, 128), (128, 128, 192)],  # Sidewalk ParkingBlock RoadShoulder
  5: [(128, 128, 0), (192, 192, 0)],  # Tree VegetationMisc
  6: [(192, 128, 128), (128, 128, 64), (0, 64, 64)],  # SignSymbol Misc_Text TrafficLight
  7: [(64, 64, 128)],  # Fence
  8: [(64, 0, 128), (64, 128, 192), (192, 128, 192), (192, 64, 128), (128, 64, 64)],
  # Car SUVPickupTruck Truck_Bus Train OtherMoving
  9: [(64, 64, 0), (192, 128, 64), (64, 0, 192), (64, 128, 64)],  # Pedestrian Child CartLuggagePram Animal
  10: [(0, 128, 192), (192, 0, 192)],  # Bicyclist MotorcycleScooter
  11: [(0, 0, 0)],  # Void
}
OFFICIAL_COLORS = {color: raw_id for raw_id, colors in _MEMBERS.items() for color in colors}

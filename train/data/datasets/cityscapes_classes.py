"""Cityscapes' labels, with the ids of cityscapesscripts that the label files and the server use."""

from __future__ import annotations

from train.data.classes import IGNORE, ClassTable, LabelClass

# "license plate" has the id -1 there and is omitted here: the publisher's tools do not draw negative ids,
# so that no label file contains it.
CITYSCAPES = ClassTable(
  [
    LabelClass("unlabeled", 0, IGNORE, (0, 0, 0)),
    LabelClass("ego vehicle", 1, IGNORE, (0, 0, 0)),
    LabelClass("rectification border", 2, IGNORE, (0, 0, 0)),
    LabelClass("out of roi", 3, IGNORE, (0, 0, 0)),
    LabelClass("static", 4, IGNORE, (0, 0, 0)),
    LabelClass("dynamic", 5, IGNORE, (111, 74, 0)),
    LabelClass("ground", 6, IGNORE, (81, 0, 81)),
    LabelClass("road", 7, 0, (128, 64, 128)),
    LabelClass("sidewalk", 8, 1, (244, 35, 232)),
    LabelClass("parking", 9, IGNORE, (250, 170, 160)),
    LabelClass("rail track", 10, IGNORE, (230, 150, 140)),
    LabelClass("building", 11, 2, (70, 70, 70)),
    LabelClass("wall", 12, 3, (102, 102, 156)),
    LabelClass("fence", 13, 4, (190, 153, 153), thin=True),
    LabelClass("guard rail", 14, IGNORE, (180, 165, 180)),
    LabelClass("bridge", 15, IGNORE, (150, 100, 100)),
    LabelClass("tunnel", 16, IGNORE, (150, 120, 90)),
    LabelClass("pole", 17, 5, (153, 153, 153), thin=True),
    LabelClass("polegroup", 18, IGNORE, (153, 153, 153)),
    LabelClass("traffic light", 19, 6, (250, 170, 30), thin=True),
    LabelClass("traffic sign", 20, 7, (220, 220, 0), thin=True),
    LabelClass("vegetation", 21, 8, (107, 142, 35)),
    LabelClass("terrain", 22, 9, (152, 251, 152)),
    LabelClass("sky", 23, 10, (70, 130, 180)),
    LabelClass("person", 24, 11, (220, 20, 60), thin=True),
    LabelClass("rider", 25, 12, (255, 0, 0), thin=True),
    LabelClass("car", 26, 13, (0, 0, 142)),
    LabelClass("truck", 27, 14, (0, 0, 70)),
    LabelClass("bus", 28, 15, (0, 60, 100)),
    LabelClass("caravan", 29, IGNORE, (0, 0, 90)),
    LabelClass("trailer", 30, IGNORE, (0, 0, 110)),
    LabelClass("train", 31, 16, (0, 80, 100)),
    LabelClass("motorcycle", 32, 17, (0, 0, 230), thin=True),
    LabelClass("bicycle", 33, 18, (119, 11, 32), thin=True),
  ]
)

"""PASCAL VOC 2012's 20 classes, background and void, with the devkit's colours."""

from __future__ import annotations

from train.data.classes import IGNORE, ClassTable, LabelClass

_NAMES = (
  "background",
  "aeroplane",
  "bicycle",
  "bird",
  "boat",
  "bottle",
  "bus",
  "car",
  "cat",
  "chair",
  "cow",
  "diningtable",
  "dog",
  "horse",
  "motorbike",
  "person",
  "pottedplant",
  "sheep",
  "sofa",
  "train",
  "tvmonitor",
)
# Frames and spokes, legs and backs, leaves and stems: mostly narrower than a stride of 16.
_THIN = ("bicycle", "chair", "pottedplant")


def voc_colour(value: int) -> tuple[int, int, int]:
  """The devkit's VOClabelcolormap: bits 0, 3, 6 of the value are red's highest ones, 1, 4, 7 green's."""
  return tuple(
    sum((value >> (3 * place + channel) & 1) << (7 - place) for place in range(3)) for channel in range(3)
  )


VOC = ClassTable(
  [
    *(LabelClass(name, i, i, voc_colour(i), name in _THIN) for i, name in enumerate(_NAMES)),
    LabelClass("void", 255, IGNORE, voc_colour(255)),
  ]
)

"""PASCAL VOC 2012's 20 classes, background and void, with the development kit's colors."""

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
# Classes whose parts (spokes, legs, stems) are mostly narrower than an output stride of 16.
_THIN = ("bicycle", "chair", "pottedplant")


def voc_color(value: int) -> tuple[int, int, int]:
  """The color of a label value by the development kit's VOClabelcolormap.

  Bits 0, 3 and 6 of the value are the highest bits of red; 1, 4 and 7 of green; 2, 5 of blue.
  """
  red, green, blue = (
    sum((value >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(3)) for channel in range(3)
  )
  return red, green, blue


VOC = ClassTable(
  [
    *(LabelClass(name, i, i, voc_color(i), name in _THIN) for i, name in enumerate(_NAMES)),
    LabelClass("void", 255, IGNORE, voc_color(255)),
  ]
)

"""The submission formats of the benchmarks' servers; label values come from the data sets' class tables."""

from __future__ import annotations

import dataclasses
import re

import numpy as np

from train.data.classes import ClassTable
from train.data.datasets.ade20k_classes import ADE20K
from train.data.datasets.cityscapes_classes import CITYSCAPES
from train.data.datasets.voc_classes import VOC, voc_color

_VOC_FOLDER = "results/VOC2012/Segmentation/{}_test_cls"
_CITYSCAPES_FRAME = re.compile(r"[^_/]+_\d{6}_\d{6}")


@dataclasses.dataclass(frozen=True)
class SubmissionFormat:
  """The format of a submission to one server.

  Attributes:
    name: of the benchmark.
    table: the classes; a PNG's values are their raw ids.
    archive: file name of the upload, a .tar.gz or a .zip.
    folders: folders in the archive, one of which contains the PNGs; empty if the server searches all.
    suffix: of a PNG's name, after the image's id.
    id_pattern: matches the id at the start of a PNG's name; None if the name is the id.
    palette: required palette of the PNGs, RGB uint8 `[256, 3]`; None accepts grayscale and any palette.
    size: (height, width) of every image; None where they differ.
  """

  name: str
  table: ClassTable
  archive: str
  folders: tuple[str, ...] = ()
  suffix: str = ".png"
  id_pattern: re.Pattern | None = None
  palette: np.ndarray | None = None
  size: tuple[int, int] | None = None

  @property
  def values(self) -> list[int]:
    """The allowed pixel values, in the order of the train ids."""
    return [row.raw_id for row in self.table.classes]

  def identify(self, stem: str) -> str | None:
    """The id of the image to which an image or PNG named `stem` belongs; None if there is none."""
    if self.id_pattern is None:
      return stem
    match = self.id_pattern.match(stem)
    return match and match.group()

  def choose_folder(self, config) -> str:
    """The folder in the archive for the PNGs of a run with this config.

    VOC's competition comp5 requires training on nothing but its own trainval; runs with pretrained weights
    or SBD's labels belong to comp6.
    """
    if self.name != "voc":
      return ""
    only_voc = config.data.name == "voc" and config.data.split in ("train", "val", "trainval")
    return self.folders[1 if only_voc and not config.model.weights else 0]


SUBMISSION_FORMATS = {
  row.name: row
  for row in (
    # The development kit's documentation, 5.2-5.3 (host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc):
    # indexed PNGs with the color map of the training labels; its VOCevalseg.m rejects values above 20 and
    # sizes other than the image's. Only .tar.gz or .tgz: zhanghang1989/PyTorch-Encoding#225.
    SubmissionFormat(
      "voc",
      VOC,
      "results.tar.gz",
      folders=tuple(_VOC_FOLDER.format(competition) for competition in ("comp6", "comp5")),
      palette=np.array([voc_color(value) for value in range(256)], np.uint8),
    ),
    # github.com/mcordts/cityscapesScripts, README and evalPixelLevelSemanticLabeling.py: the ids of
    # helpers/labels.py, not the train ids, one channel, the image's size; getPrediction searches every
    # folder for exactly one <city>_123456_123456*.png per image. mcordts in #65: so does the server.
    SubmissionFormat(
      "cityscapes",
      CITYSCAPES,
      "cityscapes.zip",
      suffix="_pred_labelIds.png",
      id_pattern=_CITYSCAPES_FRAME,
      size=(1024, 2048),
    ),
    # github.com/CSAILVision/sceneparsing, README, "Submission format": a zip of PNGs named as the images;
    # it does not mention folders. 0 is "other objects", not a class.
    SubmissionFormat("ade20k", ADE20K, "ade20k.zip", folders=("",)),
  )
}

"""What the benchmarks' servers take: one row a server, the values from the data sets' class tables."""

from __future__ import annotations

import dataclasses
import re

import numpy as np

from train.data.classes import ClassTable
from train.data.datasets.ade20k_classes import ADE20K
from train.data.datasets.cityscapes_classes import CITYSCAPES
from train.data.datasets.voc_classes import VOC, voc_colour

_VOC_FOLDER = "results/VOC2012/Segmentation/{}_test_cls"
_FRAME = re.compile(r"[^_/]+_\d{6}_\d{6}")


@dataclasses.dataclass(frozen=True)
class Format:
  """What a server takes.

  Attributes:
    name: of the benchmark.
    table: the classes; a PNG's values are their raw ids.
    archive: file name of what is uploaded, a .tar.gz or a .zip.
    folders: in the archive, any one of which holds the PNGs; none: the server looks everywhere.
    ending: of a PNG's name, after the image's id.
    begins: what names begin with, the rest being free; None: the id is all of it.
    palette: that PNGs must have, RGB uint8 `[256, 3]`; None: they are grey, or have any.
    size: the (height, width) of every image; None where they differ.
  """

  name: str
  table: ClassTable
  archive: str
  folders: tuple[str, ...] = ()
  ending: str = ".png"
  begins: re.Pattern | None = None
  palette: np.ndarray | None = None
  size: tuple[int, int] | None = None

  @property
  def values(self) -> list[int]:
    """What pixels may be, by train id."""
    return [row.raw_id for row in self.table.classes]

  def identify(self, stem: str) -> str | None:
    """The id of the image that a photograph or PNG called `stem` is of; None if it is of none."""
    if self.begins is None:
      return stem
    found = self.begins.match(stem)
    return found and found.group()

  def folder(self, config) -> str:
    """Where in the archive the PNGs of a run with this config belong.

    VOC's comp5 is for what was trained on nothing but its own trainval; weights of other images, and
    SBD's labels, are comp6.
    """
    if self.name != "voc":
      return ""
    own = config.data.name == "voc" and config.data.split in ("train", "val", "trainval")
    return self.folders[1 if own and not config.model.weights else 0]


FORMATS = {
  row.name: row
  for row in (
    # The development kit's documentation, 5.2-5.3 (host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc):
    # indexed PNGs with the training labels' colour map; its VOCevalseg.m refuses a value above 20 and
    # another size than the image's. Only .tar.gz or .tgz: zhanghang1989/PyTorch-Encoding#225.
    Format(
      "voc",
      VOC,
      "results.tar.gz",
      folders=tuple(_VOC_FOLDER.format(competition) for competition in ("comp6", "comp5")),
      palette=np.array([voc_colour(value) for value in range(256)], np.uint8),
    ),
    # github.com/mcordts/cityscapesScripts, README and evalPixelLevelSemanticLabeling.py: the ids of
    # helpers/labels.py, not the train ids, one channel, the image's size; getPrediction looks in every
    # folder for exactly one <city>_123456_123456*.png an image. mcordts in #65: so does the server.
    Format(
      "cityscapes",
      CITYSCAPES,
      "cityscapes.zip",
      ending="_pred_labelIds.png",
      begins=_FRAME,
      size=(1024, 2048),
    ),
    # github.com/CSAILVision/sceneparsing, README, "Submission format": a zip of PNGs called as the
    # images are, of which nothing says that they may lie in a folder; 0 is "other objects", no class.
    Format("ade20k", ADE20K, "ade20k.zip", folders=("",)),
  )
}

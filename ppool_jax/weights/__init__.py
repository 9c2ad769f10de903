"""Pre-trained weights of Keras, PyTorch and Caffe; no other package of the library imports them.

`pretrained` and `load` read a local file and download nothing. The keys in a file, whatever its format,
determine the layout of its arrays and the preprocessing of images. `python -m ppool_jax.weights` downloads
public files and converts files to one that loads without other libraries.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from flax import traverse_util

from ppool_jax.utils.files import local_path
from ppool_jax.utils.lookup import lookup
from ppool_jax.weights.converted import flatten, is_converted, read_converted
from ppool_jax.weights.mappings import KEY_MAPPINGS, convert, detect
from ppool_jax.weights.mappings.key_mapping import plain_keys
from ppool_jax.weights.preprocess import Preprocess
from ppool_jax.weights.readers.files import read

__all__ = ["Preprocess", "Pretrained", "load", "pretrained"]


class Pretrained(NamedTuple):
  """A network's weights and what is needed to use them.

  Attributes:
    variables: {"params": {"conv1_1": {"kernel": [3, 3, 3, 64], "bias": [64]}, ...}}, and "batch_stats"
      where the network has them: float32 NumPy arrays nested as in `ppool_jax.models.backbone(network).init`.
    preprocess: from uint8 RGB `[N, H, W, 3]` to the input that these weights expect.
    options: keyword arguments that `backbone` needs for these weights, such as {"v1_5": True}.
  """

  variables: dict[str, Any]
  preprocess: Preprocess
  options: dict[str, Any]


def load(
  network: str, path: str | os.PathLike, classifier: bool = False
) -> tuple[dict[str, Any], Preprocess]:
  """Like `pretrained`, without the options: for files whose weights need none.

  A file of torchvision's ResNet-50, for example, needs `v1_5=True`, which only `pretrained` returns.
  """
  return pretrained(network, path, classifier)[:2]


def pretrained(network: str, path: str | os.PathLike, classifier: bool | None = False) -> Pretrained:
  """Reads the pre-trained weights of a backbone.

  Files have no parameters of pools: merge the variables into those of `init`.

  Args:
    network: a name of `ppool_jax.models.BACKBONES`, such as "vgg16".
    path: `.h5` or `.hdf5` (Keras: the legacy layout, whole models in it, and Keras 3's `.weights.h5`), `.pth`
      or `.pt` (a PyTorch state dict; needs PyTorch), `.caffemodel` (needs protobuf) or `.safetensors`,
      with the keys of Keras, PyTorch or Caffe, or converted by `python -m ppool_jax.weights`.
    classifier: whether to read the classifier, too; None: if the file has one.

  Raises:
    FileNotFoundError: the file does not exist.
    ImportError: PyTorch or protobuf is needed and not installed.
    ValueError: an unknown network or suffix; a file that does not have the format of its suffix, is
      damaged, or belongs to another network; keys or shapes that do not match, with those of both sides;
      weights that are not finite. The message names the file.
  """
  mappings = lookup(network, KEY_MAPPINGS, "network")
  path = local_path(path)
  if is_converted(path):
    return _from_converted(network, path, classifier)
  arrays = read(path)
  try:
    mapping = detect(mappings, arrays)
    classifier = mapping.has_classifier(arrays) if classifier is None else classifier
    variables = convert(mapping, arrays, classifier=classifier)
  except ValueError as error:
    hint = _other_networks(network, arrays)
    raise ValueError(f"{path}, as weights of {network}: {hint}{error}") from None
  return Pretrained(variables, mapping.preprocess, dict(mapping.options))


def classifier_paths(network: str) -> set[str]:
  """Paths of the arrays of a network's classifier: {"params/classifier/bias", ...}."""
  mappings = KEY_MAPPINGS[network]
  return {"/".join(param.path) for mapping in mappings for param in mapping.params if param.classifier}


def _from_converted(network: str, path: pathlib.Path, classifier: bool | None) -> Pretrained:
  converted = read_converted(path)
  if converted.network != network:
    raise ValueError(f"{path}: expected converted weights of {network}, got those of {converted.network}")
  if classifier and not converted.classifier:
    raise ValueError(f"{path}: expected weights with the classifier, which was not converted")
  arrays = flatten(converted.variables)
  if classifier is False:
    arrays = {name: array for name, array in arrays.items() if name not in converted.classifier}
  variables = traverse_util.unflatten_dict(arrays, sep="/")
  return Pretrained(variables, converted.preprocess, converted.options)


def _other_networks(network: str, arrays: Mapping[str, np.ndarray]) -> str:
  """A hint that names the other networks to which more than 90% of a file's keys belong."""
  keys = plain_keys(arrays)
  others = [
    other
    for other, mappings in KEY_MAPPINGS.items()
    if other != network and any(len(keys & mapping.by_key().keys()) > 0.9 * len(keys) for mapping in mappings)
  ]
  return f"its keys are those of {' or '.join(others)}; " if others else ""

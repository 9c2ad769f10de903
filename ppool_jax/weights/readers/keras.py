"""Keras's HDF5 files: the legacy layout of Keras 1 to 3, alone or inside a whole model, and Keras 3's own.

Keras makes up the names of layers that an author did not name ("conv2d_4") and counts them through the
life of a process, some versions from 1. Here they are counted from 0 within a file, in the order of
their numbers, so that a network has the same names whatever was built before it.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable

import h5py
import jax.numpy as jnp
import numpy as np

_MADE_UP = re.compile(r"(conv(?:olution)?2d|batch_?normalization)(?:_(\d+))?")
# Keras 1 wrote the names of classes without underscores.
_TODAY = {"convolution2d": "conv2d", "batchnormalization": "batch_normalization"}


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Every weight of the layers; the state of an optimizer is left out.

  Returns:
    Of the legacy layout, the names of the file, "block1_conv1/kernel:0". Of Keras 3, whose files do not
    name a layer's arrays, the layer's name and the array's place in the layer, "block1_conv1/0".

  Raises:
    ValueError: neither layout; two layers of one name.
    Exception: h5py's own errors about broken bytes.
  """
  with h5py.File(path, "r") as file:
    if "layer_names" in file.attrs:
      return _legacy(file)
    if "model_weights" in file:  # A whole model: its weights lie beside the optimizer's.
      return _legacy(file["model_weights"])
    return _keras3(file)


def _legacy(group: h5py.Group) -> dict[str, np.ndarray]:
  """A group a layer; the attributes say which data sets are its weights."""
  arrays, layers = {}, list(map(_text, group.attrs["layer_names"]))
  renamed = _counted_from_0(layers)
  for layer in layers:
    for weight in map(_text, group[layer].attrs["weight_names"]):
      # Names are unique within a layer only; most begin with the layer's name.
      name = weight.removeprefix(layer) if weight.startswith(layer) else f"/{weight}"
      arrays[renamed[layer] + name] = _array(group[layer][weight])
  return arrays


def _keras3(file: h5py.File) -> dict[str, np.ndarray]:
  """A group "vars" a layer, at any depth, with the attribute "name" and the data sets "0", "1", ..."""
  layers = {}

  def visit(path: str, item):
    named = path.split("/")[-1] == "vars" and not path.startswith("optimizer/")
    if named and isinstance(item, h5py.Group) and len(item):
      name = _text(item.attrs.get("name", path))
      if name in layers:
        raise ValueError(f"two layers have the name {name!r}")
      layers[name] = {number: _array(item[number]) for number in item}

  file.visititems(visit)
  if not layers:
    raise ValueError(f'no "layer_names", and no weights in groups "vars"; at the top are {list(file)}')
  renamed = _counted_from_0(layers)
  return {f"{renamed[name]}/{key}": array for name, held in layers.items() for key, array in held.items()}


def _counted_from_0(layers: Iterable[str]) -> dict[str, str]:
  """What each layer is called here: {"conv2d_4": "conv2d", "conv2d_5": "conv2d_1", "fc1": "fc1"}."""
  renamed = {layer: layer for layer in layers}
  made_up = sorted(
    (_TODAY.get(match[1], match[1]), int(match[2] or 0), layer)
    for layer in renamed
    if (match := _MADE_UP.fullmatch(layer))
  )
  counts = dict.fromkeys((stem for stem, _, _ in made_up), 0)
  for stem, _, layer in made_up:
    renamed[layer] = f"{stem}_{counts[stem]}" if counts[stem] else stem
    counts[stem] += 1
  return renamed


def _array(data: h5py.Dataset) -> np.ndarray:
  """HDF5 has no bfloat16: Keras stores its two bytes without a type."""
  array = np.asarray(data[()])
  return array.view(np.dtype(jnp.bfloat16)) if array.dtype == np.dtype("V2") else array


def _text(name: str | bytes) -> str:
  return name.decode() if isinstance(name, bytes) else name

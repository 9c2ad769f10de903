"""Reads Keras's HDF5 files: the legacy layout of Keras 1 to 3, alone or in a whole model, and Keras 3's own.

Keras generates names for layers without one ("conv2d_4") and counts them for the life of a process, some
versions from 1. The reader counts them from 0 within a file, in the order of their numbers, so that the keys
of a network do not depend on what was built before it.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable
from typing import Any

import h5py
import jax.numpy as jnp
import numpy as np

_GENERATED = re.compile(r"(conv(?:olution)?2d|batch_?normalization)(?:_(\d+))?")
# Keras 1 wrote class names without underscores.
_TODAY = {"convolution2d": "conv2d", "batchnormalization": "batch_normalization"}


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Every array of the layers, without the state of an optimizer.

  Returns:
    The arrays by key: in the legacy layout the names in the file, such as "block1_conv1/kernel:0"; for
    Keras 3, whose files do not name a layer's arrays, the layer's name and the index of the array in the
    layer, such as "block1_conv1/0".

  Raises:
    ValueError: neither layout; two layers with one name.
    Exception: errors of h5py about broken bytes.
  """
  with h5py.File(path, "r") as file:
    if "layer_names" in file.attrs:
      return _legacy(file)
    if "model_weights" in file:  # A whole model, with the state of its optimizer in another group.
      return _legacy(file["model_weights"])
    return _keras3(file)


def _legacy(group: Any) -> dict[str, np.ndarray]:
  """One group per layer, whose attributes list the datasets of its weights."""
  arrays, layers = {}, list(map(_text, group.attrs["layer_names"]))
  renamed = _counted_from_0(layers)
  for layer in layers:
    for weight in map(_text, group[layer].attrs["weight_names"]):
      # Names are unique only within a layer; most begin with the layer's name.
      name = weight.removeprefix(layer) if weight.startswith(layer) else f"/{weight}"
      arrays[renamed[layer] + name] = _array(group[layer][weight])
  return arrays


def _keras3(file: h5py.File) -> dict[str, np.ndarray]:
  """One group "vars" per layer, at any depth, with the attribute "name" and the datasets "0", "1", ..."""
  layers = {}

  def visit(path: str, item: Any) -> None:
    is_layer = path.split("/")[-1] == "vars" and not path.startswith("optimizer/")
    if is_layer and isinstance(item, h5py.Group) and len(item):
      name = _text(item.attrs.get("name", path))
      if name in layers:
        raise ValueError(f"two layers have the name {name!r}")
      layers[name] = {number: _array(item[number]) for number in item}

  file.visititems(visit)
  if not layers:
    raise ValueError(f'no "layer_names", and no weights in groups "vars"; at the top are {list(file)}')
  renamed = _counted_from_0(layers)
  return {f"{renamed[name]}/{key}": array for name, values in layers.items() for key, array in values.items()}


def _counted_from_0(layers: Iterable[str]) -> dict[str, str]:
  """Maps names to those counted from 0: {"conv2d_4": "conv2d", "conv2d_5": "conv2d_1", "fc1": "fc1"}."""
  renamed = {layer: layer for layer in layers}
  generated = sorted(
    (_TODAY.get(match[1], match[1]), int(match[2] or 0), layer)
    for layer in renamed
    if (match := _GENERATED.fullmatch(layer))
  )
  counts = dict.fromkeys((stem for stem, _, _ in generated), 0)
  for stem, _, layer in generated:
    renamed[layer] = f"{stem}_{counts[stem]}" if counts[stem] else stem
    counts[stem] += 1
  return renamed


def _array(data: Any) -> np.ndarray:
  """Reads a dataset. HDF5 has no bfloat16, so Keras stores two bytes without a type."""
  array = np.asarray(data[()])
  return array.view(np.dtype(jnp.bfloat16)) if array.dtype == np.dtype("V2") else array


def _text(name: str | bytes) -> str:
  return name.decode() if isinstance(name, bytes) else name

"""Reads a weight file of any format to a flat dict of its arrays by key.

No reader executes code from a file. The libraries of a format (h5py, PyTorch, protobuf) are imported when a
file of that format is read, so that converted weights load without them.
"""

from __future__ import annotations

import importlib
import pathlib

import numpy as np
import safetensors.numpy


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Every array of a file, whose suffix determines the format.

  Raises:
    FileNotFoundError: the file does not exist.
    ValueError: an unknown suffix, or a file that does not have the format of its suffix.
    ImportError: a .pth file without PyTorch, or a .caffemodel without protobuf.
  """
  if path.suffix.lower() not in _READERS:
    raise ValueError(f"{path}: expected a suffix among {', '.join(_READERS)}, got {path.suffix!r}")
  if not path.is_file():
    raise FileNotFoundError(f"{path}: no such file")
  reader, expected = _READERS[path.suffix.lower()]
  with path.open("rb") as file:
    start = file.read(16)
  try:
    return reader(path)
  except ImportError:
    raise
  # On broken bytes the libraries raise errors of a dozen types, some of them their own.
  except Exception as error:
    raise ValueError(f"{path}: expected {expected}; the file begins with {start!r}: {error}") from error


def _read_keras(path: pathlib.Path) -> dict[str, np.ndarray]:
  from ppool_jax.weights.readers import keras

  return keras.read(path)


def _read_torch(path: pathlib.Path) -> dict[str, np.ndarray]:
  _require("torch", path, "PyTorch: make env EXTRAS=torch (or pip install torch)")
  from ppool_jax.weights.readers import torch

  return torch.read(path)


def _read_caffe(path: pathlib.Path) -> dict[str, np.ndarray]:
  _require("google.protobuf", path, "protobuf: pip install protobuf")
  from ppool_jax.weights.readers import caffe

  return caffe.read(path)


def _read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
  return safetensors.numpy.load_file(path)


def _require(package: str, path: pathlib.Path, remedy: str) -> None:
  try:
    importlib.import_module(package)
  except ImportError as error:
    raise ImportError(f"{path}: reading {path.suffix} files needs {remedy}") from error


_KERAS = (
  _read_keras,
  'Keras weights in HDF5 (the attribute "layer_names" of the legacy layout, or the groups "vars" of Keras 3)',
)
_TORCH = (_read_torch, "a PyTorch state dict that torch.load(..., weights_only=True) reads")
_CAFFE = (_read_caffe, "a Caffe model (NetParameter in binary protobuf)")
_SAFETENSORS = (_read_safetensors, "a safetensors file")
_READERS = {
  ".h5": _KERAS,
  ".hdf5": _KERAS,
  ".pth": _TORCH,
  ".pt": _TORCH,
  ".caffemodel": _CAFFE,
  ".safetensors": _SAFETENSORS,
}

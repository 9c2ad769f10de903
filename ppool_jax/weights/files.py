"""Readers of weight files: a path to a flat dict of arrays by the names that the file gives them.

No reader executes code from a file: `.pth` files are pickles and are read with `weights_only`.
"""

from __future__ import annotations

import pathlib
import pickle

import h5py
import numpy as np
import safetensors.numpy


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Every array of a file, in the format that its suffix says.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the suffix is of no known format, or the file is not of the format that it says.
    ImportError: a .pth file, and PyTorch is not installed.
  """
  if path.suffix.lower() not in _READERS:
    raise ValueError(f"{path}: expected a suffix among {', '.join(_READERS)}, got {path.suffix!r}")
  if not path.is_file():
    raise FileNotFoundError(f"{path}: no such file of weights")
  reader, expected = _READERS[path.suffix.lower()]
  with path.open("rb") as file:
    start = file.read(16)
  try:
    return reader(path)
  except ImportError:
    raise
  # The libraries answer broken bytes with errors of a dozen types, some of them their own.
  except Exception as error:
    raise ValueError(f"{path}: expected {expected}; the file begins with {start!r}: {error}") from error


def _read_keras(path: pathlib.Path) -> dict[str, np.ndarray]:
  """The legacy layout: a group a layer; the attributes say which data sets are its weights."""
  arrays = {}
  with h5py.File(path, "r") as file:
    for layer in map(_text, file.attrs["layer_names"]):
      for weight in map(_text, file[layer].attrs["weight_names"]):
        # Names are unique within a layer only; most begin with the layer's name.
        name = weight if weight.startswith(layer) else f"{layer}/{weight}"
        arrays[name] = np.asarray(file[layer][weight][()])
  return arrays


def _read_torch(path: pathlib.Path) -> dict[str, np.ndarray]:
  try:
    import torch
  except ImportError as error:
    raise ImportError(
      f"{path}: reading {path.suffix} files needs PyTorch: make env EXTRAS=torch (or pip install torch)"
    ) from error
  try:
    state = torch.load(path, map_location="cpu", weights_only=True)
  except pickle.UnpicklingError:
    # PyTorch's own message, which this hides, recommends to run the file's code.
    raise ValueError("it is no pickle, or holds more than tensors") from None
  named = isinstance(state, dict) and all(isinstance(name, str) for name in state)
  if not named or not all(isinstance(value, torch.Tensor) for value in state.values()):
    held = f"a dict of {list(state)}" if isinstance(state, dict) else type(state).__name__
    raise ValueError(f"expected names and tensors only, got {held:.200}")
  # NumPy has no bfloat16, so every floating tensor becomes float32; integers stay what they are.
  state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
  return {name: value.detach().numpy() for name, value in state.items()}


def _read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
  return safetensors.numpy.load_file(path)


def _text(name: str | bytes) -> str:
  return name.decode() if isinstance(name, bytes) else name


_KERAS = (_read_keras, 'Keras weights in HDF5 (legacy layout, with the attribute "layer_names")')
_TORCH = (_read_torch, "a PyTorch state dict that torch.load(..., weights_only=True) reads")
_SAFETENSORS = (_read_safetensors, "a safetensors file")
_READERS = {".h5": _KERAS, ".hdf5": _KERAS, ".pth": _TORCH, ".pt": _TORCH, ".safetensors": _SAFETENSORS}

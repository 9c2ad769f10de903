"""Converted weights: a network's variables and their metadata in one safetensors file.

The keys are the arrays' paths, such as "params/conv1_1/kernel", and the arrays have the network's layout. The
metadata gives the network, the preprocessing, the options, and the file that was converted.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import safetensors
from flax import traverse_util

from ppool_jax.utils.files import atomic_write, file_digest
from ppool_jax.weights.preprocess import Preprocess

_FORMAT = "ppool_jax"


class Converted(NamedTuple):
  """The contents of a converted file.

  Attributes:
    network: the network of the weights, such as "vgg16".
    variables: nested float32 arrays, {"params": {...}, "batch_stats": {...}}.
    preprocess: what the weights expect of an image.
    options: keyword arguments that `ppool_jax.models.backbone` needs for these weights.
    classifier: paths of the classifier's arrays, such as "params/classifier/kernel"; empty without one.
    source: name of the file that was converted.
    source_sha256: its SHA-256.
  """

  network: str
  variables: dict[str, Any]
  preprocess: Preprocess
  options: dict[str, Any]
  classifier: tuple[str, ...]
  source: str
  source_sha256: str


def write_converted(
  path: str | os.PathLike,
  network: str,
  variables: dict[str, Any],
  preprocess: Preprocess,
  options: Mapping[str, Any],
  source: str | os.PathLike,
  classifier: Sequence[str] = (),
) -> None:
  """Writes a converted file atomically; the same contents give the same bytes.

  Args:
    path: the file to write, `.safetensors`.
    network, variables, preprocess, options, classifier: see `Converted`.
    source: the file that was converted, which is read again for its SHA-256.

  Raises:
    ValueError: an array that is not float32, which no reader makes; nothing is written.
    OSError: the file cannot be written; an existing one is unchanged.
  """
  arrays = flatten(variables)
  metadata = {
    "format": _FORMAT,
    "network": network,
    "preprocess": _json(preprocess.as_dict()),
    "options": _json(dict(options)),
    "head": _json(sorted(classifier)),
    "source": pathlib.Path(source).name,
    "source_sha256": file_digest(source, "sha256"),
  }
  header = _header(arrays, {**metadata, "sha256": _digest(metadata, arrays)})
  with atomic_write(path) as file:
    file.write(header)
    for name in sorted(arrays):
      file.write(_bytes(arrays[name]))


def flatten(variables: dict[str, Any]) -> dict[str, np.ndarray]:
  """Arrays by path: {"params": {"fc": {"bias": b}}} to {"params/fc/bias": b}."""
  arrays: Any = traverse_util.flatten_dict(variables, sep="/")
  return arrays


def is_converted(path: str | os.PathLike) -> bool:
  """Whether a file is a converted file; False for a missing or broken file and for another suffix."""
  if pathlib.Path(path).suffix.lower() != ".safetensors":
    return False
  try:
    with safetensors.safe_open(path, framework="numpy") as file:
      return (file.metadata() or {}).get("format") == _FORMAT
  except (OSError, safetensors.SafetensorError):
    return False


def read_converted(path: str | os.PathLike) -> Converted:
  """Reads a file of `write_converted` and verifies its digest.

  Raises:
    ValueError: the file is not a converted file, or is damaged: its digest is not that of its contents.
      The message names the file.
  """
  with safetensors.safe_open(path, framework="numpy") as file:
    metadata = file.metadata() or {}
    arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
  expected, found = metadata.pop("sha256", None), _digest(metadata, arrays)
  if metadata.get("format") != _FORMAT:
    raise ValueError(f"{path}: expected converted weights, with format={_FORMAT!r} in the metadata")
  if found != expected:
    raise ValueError(f"{path}: damaged: expected contents of SHA-256 {expected}, got {found}")
  return Converted(
    network=metadata["network"],
    variables=traverse_util.unflatten_dict(arrays, sep="/"),
    preprocess=Preprocess.from_dict(json.loads(metadata["preprocess"])),
    options=json.loads(metadata["options"]),
    classifier=tuple(json.loads(metadata["head"])),
    source=metadata["source"],
    source_sha256=metadata["source_sha256"],
  )


def _header(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
  """The header of a safetensors file, whose own library orders the metadata differently from run to run."""
  entries: dict[str, Any] = {"__metadata__": metadata}
  start = 0
  for name in sorted(arrays):
    array = arrays[name]
    if array.dtype != np.float32:
      raise ValueError(f"{name}: expected float32, got {array.dtype}")
    end = start + array.nbytes
    entries[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [start, end]}
    start = end
  text = _json(entries).encode()
  text += b" " * (-len(text) % 8)
  return struct.pack("<Q", len(text)) + text


def _digest(metadata: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> str:
  """SHA-256 of the metadata and the arrays, in the order of their names."""
  digest = hashlib.sha256(_json(dict(metadata)).encode())
  for name in sorted(arrays):
    array = arrays[name]
    digest.update(_json([name, str(array.dtype), list(array.shape)]).encode())
    digest.update(_bytes(array))
  return digest.hexdigest()


def _bytes(array: np.ndarray) -> memoryview:
  """The array's contents in row-major order and little-endian."""
  return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data.cast("B")


def _json(value: Any) -> str:
  return json.dumps(value, sort_keys=True, separators=(",", ":"))

"""Converted weights: a network's variables in a safetensors file, with all that is needed to use them.

Arrays are named by their paths, "params/conv1_1/kernel", and have our layout. The metadata says which
network they are of, what they expect of an image, and which file they come from.
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

from ppool_jax.utils.files import atomic_write, file_digest
from ppool_jax.weights.preprocess import Preprocess

_FORMAT = "ppool_jax"


class Converted(NamedTuple):
  """The contents of a converted file.

  Attributes:
    network: whose weights they are, "vgg16".
    variables: nested float32 arrays, {"params": {...}, "batch_stats": {...}}.
    preprocess: what the weights expect of an image.
    options: keyword arguments that `ppool_jax.models.backbone` needs for these weights.
    head: paths of the classifier's arrays, "params/predictions/kernel"; empty if it is not held.
    source: the name of the file that was converted.
    source_sha256: its hash.
  """

  network: str
  variables: dict
  preprocess: Preprocess
  options: dict[str, Any]
  head: tuple[str, ...]
  source: str
  source_sha256: str


def write(
  path: str | os.PathLike,
  network: str,
  variables: Mapping,
  preprocess: Preprocess,
  options: Mapping[str, Any],
  source: str | os.PathLike,
  head: Sequence[str] = (),
):
  """Writes a file beside `path` and renames it; the same contents give the same bytes.

  Args:
    path: the file to write, `.safetensors`.
    network, variables, preprocess, options, head: as in `Converted`.
    source: the file that was converted, which is read once more for its hash.

  Raises:
    ValueError: an array is not float32, which no reader makes; nothing is written.
    OSError: the file cannot be written; `path` is what it was.
  """
  arrays = flat(variables)
  metadata = {
    "format": _FORMAT,
    "network": network,
    "preprocess": _json(preprocess.as_dict()),
    "options": _json(dict(options)),
    "head": _json(sorted(head)),
    "source": pathlib.Path(source).name,
    "source_sha256": file_digest(source, "sha256"),
  }
  header = _header(arrays, {**metadata, "sha256": _digest(metadata, arrays)})
  with atomic_write(path) as file:
    file.write(header)
    for name in sorted(arrays):
      file.write(_bytes(arrays[name]))


def is_converted(path: str | os.PathLike) -> bool:
  """Whether a file is one of `write`'s; False for what is missing, broken or of another suffix."""
  if pathlib.Path(path).suffix.lower() != ".safetensors":
    return False
  try:
    with safetensors.safe_open(path, framework="numpy") as file:
      return (file.metadata() or {}).get("format") == _FORMAT
  except (OSError, safetensors.SafetensorError):
    return False


def read_converted(path: str | os.PathLike) -> Converted:
  """What `write` wrote.

  Raises:
    ValueError: the file is not one of `write`'s, or is damaged: its digest is not that of its contents.
      The file is named.
  """
  with safetensors.safe_open(path, framework="numpy") as file:
    metadata = file.metadata() or {}
    arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
  expected, found = metadata.pop("sha256", None), _digest(metadata, arrays)
  if metadata.get("format") != _FORMAT:
    raise ValueError(f"{path}: expected converted weights, with format={_FORMAT!r} among the metadata")
  if found != expected:
    raise ValueError(f"{path}: damaged: expected contents of SHA-256 {expected}, got {found}")
  return Converted(
    network=metadata["network"],
    variables=nested(arrays),
    preprocess=Preprocess.from_dict(json.loads(metadata["preprocess"])),
    options=json.loads(metadata["options"]),
    head=tuple(json.loads(metadata["head"])),
    source=metadata["source"],
    source_sha256=metadata["source_sha256"],
  )


def flat(variables: Mapping, prefix: str = "") -> dict[str, np.ndarray]:
  """{"params": {"fc": {"bias": b}}} to {"params/fc/bias": b}."""
  arrays = {}
  for key, value in variables.items():
    arrays |= flat(value, f"{prefix}{key}/") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
  return arrays


def nested(arrays: Mapping[str, np.ndarray], without: Sequence[str] = ()) -> dict:
  """The inverse of `flat`, without some of the arrays."""
  variables = {}
  for name, array in arrays.items():
    if name not in without:
      *branches, leaf = name.split("/")
      branch = variables
      for key in branches:
        branch = branch.setdefault(key, {})
      branch[leaf] = array
  return variables


def _header(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
  """safetensors' own: its library writes the metadata in an order that changes from run to run."""
  entries, start = {"__metadata__": metadata}, 0
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
  """Over the metadata, then the arrays in the order of their names."""
  digest = hashlib.sha256(_json(dict(metadata)).encode())
  for name in sorted(arrays):
    array = arrays[name]
    digest.update(_json([name, str(array.dtype), list(array.shape)]).encode())
    digest.update(_bytes(array))
  return digest.hexdigest()


def _bytes(array: np.ndarray) -> memoryview:
  return memoryview(np.ascontiguousarray(array, array.dtype.newbyteorder("<"))).cast("B")


def _json(value) -> str:
  return json.dumps(value, sort_keys=True, separators=(",", ":"))

"""Converts the arrays of a weight file to a network's variables by a mapping of their keys.

A key mapping describes one family of files: the keys and layouts of a network's arrays, and the images that
its weights expect. The file format does not matter: a .safetensors file may have the keys of Keras or of
torchvision.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import flax
import jax.numpy as jnp
import numpy as np

from ppool_jax.weights.preprocess import Preprocess

_MAX_LISTED = 40


@dataclasses.dataclass(frozen=True)
class ParamSpec:
  """One array of a network.

  Attributes:
    path: its path in the variables, such as ("params", "conv1_1", "kernel").
    shape: its shape in the file; None stands for any size.
    keys: its keys in files of the family, the usual one first.
    axes: the permutation of the file's axes, such as (2, 3, 1, 0) from OIHW to HWIO.
    reshape: the shape to which the file's array is reshaped before the permutation. A dense layer on a
      flattened feature map is a convolution over the whole map, and files flatten in the order of their
      framework's axes (Keras HWC, PyTorch and Caffe CHW).
    sign: arrays with the same path are added with their signs. Batch norm subtracts its mean after the
      convolution adds its bias, so (mean - bias) replaces the bias.
    optional: whether files may lack it.
    classifier: whether it belongs to the classifier, which a backbone does not need.
  """

  path: tuple[str, ...]
  shape: tuple[int | None, ...]
  keys: tuple[str, ...]
  axes: tuple[int, ...]
  reshape: tuple[int, ...] | None = None
  sign: int = 1
  optional: bool = False
  classifier: bool = False

  def matches(self, shape: tuple[int, ...]) -> bool:
    """Whether an array of the file has the expected shape.

    Vectors may have leading dimensions of 1, as in Caffe's old files and their ports.
    """
    if len(self.shape) == 1:
      shape = shape[-1:] if math.prod(shape[:-1]) == 1 else shape
    sizes = zip(self.shape, shape, strict=False)
    return len(shape) == len(self.shape) and all(want in (None, have) for want, have in sizes)


@dataclasses.dataclass(frozen=True)
class KeyMapping:
  """The keys and layouts of one network's arrays in one family of files.

  Attributes:
    name: of the family, for messages: "keras", "torchvision".
    params: every array of the network.
    ignored_keys: a regular expression of keys that the network does not use, matched in full.
    preprocess: what weights of this family expect of an image.
    options: the options with which the network must be built: {"v1_5": True, "epsilon": 1e-5}.
  """

  name: str
  params: tuple[ParamSpec, ...]
  ignored_keys: str
  preprocess: Preprocess
  options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def by_key(self) -> dict[str, ParamSpec]:
    """Every key of every array."""
    return {key: param for param in self.params for key in param.keys}

  def has_classifier(self, arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether a file has every array of the classifier."""
    keys = plain_keys(arrays)
    classifier = [param for param in self.params if param.classifier and not param.optional]
    return bool(classifier) and all(not keys.isdisjoint(param.keys) for param in classifier)


def detect(mappings: Sequence[KeyMapping], arrays: Mapping[str, np.ndarray]) -> KeyMapping:
  """The key mapping that knows the largest number of a file's keys.

  Raises:
    ValueError: no mapping knows any key, with the file's keys and those of each mapping.
  """
  keys = plain_keys(arrays)
  counts = [len(mapping.by_key().keys() & keys) for mapping in mappings]
  if max(counts):
    return mappings[counts.index(max(counts))]
  expected = [f"expected by the network ({m.name} keys): {_list(_expected(m.params))}" for m in mappings]
  raise ValueError("\n  ".join(["no key is known", *expected, f"in the file: {_list(_found(arrays))}"]))


def convert(mapping: KeyMapping, arrays: Mapping[str, np.ndarray], classifier: bool = False) -> dict:
  """The network's variables.

  Args:
    mapping: of the file's family; see `detect`.
    arrays: the file's arrays by key.
    classifier: whether to convert the classifier; otherwise it is ignored where the file has one.

  Returns:
    A nested dict of float32 arrays, {"params": {"conv1_1": {"kernel": ..., "bias": ...}, ...}}.

  Raises:
    ValueError: keys or shapes that do not match, with those of both sides; an array that is not floating
      or not finite.
  """
  by_key, found, unmatched = mapping.by_key(), {}, {}
  for key, array in arrays.items():
    param = by_key.get(_plain(key))
    if param and param.classifier and not classifier:
      continue
    if param and param not in found and param.matches(array.shape):
      found[param] = key
    elif param or not re.fullmatch(mapping.ignored_keys, _plain(key)):
      unmatched[key] = array
  required = [p for p in mapping.params if not p.optional and (classifier or not p.classifier)]
  missing = [param for param in required if param not in found]
  if missing or unmatched:
    raise ValueError(
      f"keys or shapes that do not match ({mapping.name} keys)"
      f"\n  expected by the network: {_list(_expected(missing))}"
      f"\n  in the file instead: {_list(_found(unmatched))}"
    )
  flat = {}
  for param, key in found.items():
    flat[param.path] = flat.get(param.path, np.float32(0)) + param.sign * _convert(key, arrays[key], param)
  return flax.traverse_util.unflatten_dict(flat)


def plain_keys(arrays: Mapping[str, np.ndarray]) -> set[str]:
  """The keys of a file without TensorFlow's suffixes."""
  return set(map(_plain, arrays))


def _plain(key: str) -> str:
  """TensorFlow appends ":0" to the name of a variable's first output."""
  return key.removesuffix(":0")


def _convert(key: str, array: np.ndarray, param: ParamSpec) -> np.ndarray:
  if not jnp.issubdtype(array.dtype, jnp.floating):
    raise ValueError(f"{key}: expected floating-point weights, got {array.dtype}")
  with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, which is refused below.
    array = array.reshape(-1) if len(param.shape) == 1 else array
    array = array if param.reshape is None else array.reshape(param.reshape)
    result = np.array(array.transpose(param.axes), np.float32, order="C")
  if not np.isfinite(result).all():
    raise ValueError(f"{key}: has NaN or infinity")
  return result


def _expected(params: Sequence[ParamSpec]) -> list[str]:
  return [f"{param.keys[0]} {list(param.shape)}" for param in params]


def _found(arrays: Mapping[str, np.ndarray]) -> list[str]:
  return [f"{key} {list(array.shape)}" for key, array in arrays.items()]


def _list(items: Sequence[str]) -> str:
  more = f" and {len(items) - _MAX_LISTED} more" if len(items) > _MAX_LISTED else ""
  return (", ".join(items[:_MAX_LISTED]) or "nothing") + more

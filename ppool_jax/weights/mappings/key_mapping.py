"""From a file's names and layouts to a network's variables.

A naming is one family of files: what it calls a network's arrays, how it lays them out and what
images its weights expect. The file's format plays no part: a .safetensors file may have the names of
either Keras or torchvision.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from ppool_jax.weights.preprocess import Preprocess

_LISTED = 40


@dataclasses.dataclass(frozen=True)
class Entry:
  """One array of a network.

  Attributes:
    path: where it goes in the variables, such as ("params", "conv1_1", "kernel").
    shape: its shape in the file.
    names: what files call it, the usual spelling first.
    axes: the order in which the file's axes are taken, such as (2, 3, 1, 0) from OIHW to HWIO.
    view: the shape to read the file's array in before that: a dense layer on a flattened feature is a
      convolution over the whole of it, and the file knows the order of its axes (Keras HWC, PyTorch
      and Caffe CHW).
    sign: arrays of the same path are added with their signs: batch norm subtracts its mean after the
      convolution added its bias, so that (mean - bias) does without the bias.
    optional: whether files may lack it.
    head: whether it belongs to the classifier, which a trunk does without.
  """

  path: tuple[str, ...]
  shape: tuple[int | None, ...]
  names: tuple[str, ...]
  axes: tuple[int, ...]
  view: tuple[int, ...] | None = None
  sign: int = 1
  optional: bool = False
  head: bool = False

  def fits(self, shape: tuple[int, ...]) -> bool:
    """Whether an array of the file has the entry's shape; None in it stands for any size.

    Vectors may have leading dimensions of 1, as Caffe's old files and their ports have them.
    """
    if len(self.shape) == 1:
      shape = shape[-1:] if math.prod(shape[:-1]) == 1 else shape
    sizes = zip(self.shape, shape, strict=False)
    return len(shape) == len(self.shape) and all(want in (None, have) for want, have in sizes)


@dataclasses.dataclass(frozen=True)
class Naming:
  """How one family of files stores one network.

  Attributes:
    name: for messages: "keras", "torchvision".
    entries: every array of the network.
    ignored: a regular expression of the names that the network has no use for, matched in full.
    preprocess: what weights of this family expect of an image.
    options: what the network must be built with for them: {"v1_5": True, "epsilon": 1e-5}.
  """

  name: str
  entries: tuple[Entry, ...]
  ignored: str
  preprocess: Preprocess
  options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def spellings(self) -> dict[str, Entry]:
    return {name: entry for entry in self.entries for name in entry.names}


def choose(namings: Sequence[Naming], arrays: Mapping[str, np.ndarray]) -> Naming:
  """The naming that most of the file's names belong to.

  Raises:
    ValueError: no name belongs to any, with the file's names and those of each naming.
  """
  counts = [len(naming.spellings().keys() & set(map(_plain, arrays))) for naming in namings]
  if max(counts):
    return namings[counts.index(max(counts))]
  wanted = [f"wanted by the network ({n.name} names): {_listed(_wanted(n.entries))}" for n in namings]
  raise ValueError("\n  ".join(["no name is known", *wanted, f"in the file: {_listed(_held(arrays))}"]))


def fit(naming: Naming, arrays: Mapping[str, np.ndarray], classifier: bool = False) -> dict:
  """The network's variables.

  Args:
    naming: the file's, as of `choose`.
    arrays: the file's.
    classifier: whether the classifier is wanted; if not, it may be in the file or not.

  Returns:
    A nested dict of float32 arrays, {"params": {"conv1_1": {"kernel": ..., "bias": ...}, ...}}.

  Raises:
    ValueError: names or shapes that have no counterpart, with both sides; an array that is not
      floating, or holds NaN or infinity.
  """
  spellings, found, left_over = naming.spellings(), {}, {}
  for name, array in arrays.items():
    entry = spellings.get(_plain(name))
    if entry and entry.head and not classifier:
      continue
    if entry and entry not in found and entry.fits(array.shape):
      found[entry] = name
    elif entry or not re.fullmatch(naming.ignored, _plain(name)):
      left_over[name] = array
  wanted = [entry for entry in naming.entries if not entry.optional and (classifier or not entry.head)]
  missing = [entry for entry in wanted if entry not in found]
  if missing or left_over:
    raise ValueError(
      f"names or shapes that do not match ({naming.name} names)"
      f"\n  wanted by the network: {_listed(_wanted(missing))}"
      f"\n  in the file instead: {_listed(_held(left_over))}"
    )
  flat = {}
  for entry, name in found.items():
    flat[entry.path] = flat.get(entry.path, np.float32(0)) + entry.sign * _converted(
      name, arrays[name], entry
    )
  return _nested(flat)


def _converted(name: str, array: np.ndarray, entry: Entry) -> np.ndarray:
  if not jnp.issubdtype(array.dtype, jnp.floating):
    raise ValueError(f"{name}: expected floating-point weights, got {array.dtype}")
  with np.errstate(over="ignore"):  # float64 beyond float32 is infinite, which is refused below.
    array = array.reshape(-1) if len(entry.shape) == 1 else array
    viewed = array if entry.view is None else array.reshape(entry.view)
    result = np.array(viewed.transpose(entry.axes), np.float32, order="C")
  if not np.isfinite(result).all():
    raise ValueError(f"{name}: holds NaN or infinity")
  return result


def _nested(flat: Mapping[tuple[str, ...], np.ndarray]) -> dict:
  tree = {}
  for path, array in flat.items():
    branch = tree
    for key in path[:-1]:
      branch = branch.setdefault(key, {})
    branch[path[-1]] = array
  return tree


def _plain(name: str) -> str:
  """TensorFlow ends the name of a variable's first output in ":0"."""
  return name.removesuffix(":0")


def _wanted(entries: Sequence[Entry]) -> list[str]:
  return [f"{entry.names[0]} {list(entry.shape)}" for entry in entries]


def _held(arrays: Mapping[str, np.ndarray]) -> list[str]:
  return [f"{name} {list(array.shape)}" for name, array in arrays.items()]


def _listed(items: Sequence[str]) -> str:
  more = f" and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
  return (", ".join(items[:_LISTED]) or "nothing") + more

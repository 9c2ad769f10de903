"""From a file's names and layouts to a network's variables.

A naming is one family of files: what it calls a network's arrays, how it lays them out and what
images its weights expect. The file's format plays no part: a .safetensors file may have the names of
either Keras or torchvision.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

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
  """

  path: tuple[str, ...]
  shape: tuple[int, ...]
  names: tuple[str, ...]
  axes: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Naming:
  """How one family of files stores one network.

  Attributes:
    name: for messages: "keras", "torchvision".
    entries: every array of the network.
    ignored: a regular expression of the names that the network has no use for, matched in full.
    preprocess: what weights of this family expect of an image.
  """

  name: str
  entries: tuple[Entry, ...]
  ignored: str
  preprocess: Preprocess

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


def fit(naming: Naming, arrays: Mapping[str, np.ndarray]) -> dict:
  """The network's variables.

  Args:
    naming: the file's, as of `choose`.
    arrays: the file's.

  Returns:
    A nested dict of float32 arrays, {"params": {"conv1_1": {"kernel": ..., "bias": ...}, ...}}.

  Raises:
    ValueError: names or shapes that have no counterpart, with both sides; an array that is not
      floating, or holds NaN or infinity.
  """
  spellings, found, left_over = naming.spellings(), {}, {}
  for name, array in arrays.items():
    entry = spellings.get(_plain(name))
    if entry and entry not in found and array.shape == entry.shape:
      found[entry] = name
    elif entry or not re.fullmatch(naming.ignored, _plain(name)):
      left_over[name] = array
  missing = [entry for entry in naming.entries if entry not in found]
  if missing or left_over:
    raise ValueError(
      f"names or shapes that do not match ({naming.name} names)"
      f"\n  wanted by the network: {_listed(_wanted(missing))}"
      f"\n  in the file instead: {_listed(_held(left_over))}"
    )
  return _nested({entry.path: _converted(name, arrays[name], entry) for entry, name in found.items()})


def _converted(name: str, array: np.ndarray, entry: Entry) -> np.ndarray:
  if not jnp.issubdtype(array.dtype, jnp.floating):
    raise ValueError(f"{name}: expected floating-point weights, got {array.dtype}")
  with np.errstate(over="ignore"):  # float64 beyond float32 is infinite, which is refused below.
    result = np.array(array.transpose(entry.axes), np.float32, order="C")
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

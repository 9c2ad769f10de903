"""SHA-256 over trees of arrays."""

from __future__ import annotations

import hashlib

import flax
import numpy as np


def digest(tree) -> str:
  """SHA-256 over the arrays' bytes in sorted path order, with path, shape and dtype."""
  sha = hashlib.sha256()
  for path, value in sorted(flax.traverse_util.flatten_dict(tree, sep="/").items()):
    array = np.ascontiguousarray(value)
    sha.update(f"{path} {array.shape} {array.dtype}".encode())
    sha.update(array.tobytes())
  return sha.hexdigest()


def params_sha256(params) -> str:
  """SHA-256 over the parameters' bytes in sorted path order: `params_sha256` of summary.json."""
  sha = hashlib.sha256()
  for _, value in sorted(flax.traverse_util.flatten_dict(params, sep="/").items()):
    sha.update(np.ascontiguousarray(value).tobytes())
  return sha.hexdigest()

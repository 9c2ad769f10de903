"""Pre-trained weights of others: files of Keras, torchvision and safetensors as variables of the models.

`load` reads a local file; nothing is downloaded. A file's names, whatever its format, decide how its
arrays are laid out and what images its weights expect.
"""

from __future__ import annotations

import difflib
import os
import pathlib

from ppool_jax.weights import vgg
from ppool_jax.weights.files import read
from ppool_jax.weights.naming import choose, fit
from ppool_jax.weights.preprocess import Preprocess

__all__ = ["Preprocess", "load"]

_NAMINGS = {"vgg16": vgg.VGG16}


def load(network: str, path: str | os.PathLike) -> tuple[dict, Preprocess]:
  """Pre-trained weights of a backbone, and what they expect of an image.

  Dense layers of a classifier are ignored. The parameters of pools are in no such file: merge the
  result into `init`'s variables.

  Args:
    network: "vgg16".
    path: `.h5` or `.hdf5` (Keras, legacy layout), `.pth` or `.pt` (a PyTorch state dict; needs
      PyTorch) or `.safetensors`, the last with the names of either Keras or torchvision.

  Returns:
    variables: {"params": {"conv1_1": {"kernel": [3, 3, 3, 64], "bias": [64]}, ...}}, float32 NumPy
      arrays nested as in `ppool_jax.models.backbone(network).init`.
    preprocess: uint8 RGB `[N, H, W, 3]` to those weights' input.

  Raises:
    FileNotFoundError: there is no such file.
    ImportError: PyTorch is needed and missing.
    ValueError: an unknown network or suffix; a file that is not of its suffix's format; names or
      shapes that do not match, with both sides; weights that are not finite. The file is named.
  """
  if network not in _NAMINGS:
    near = difflib.get_close_matches(str(network), _NAMINGS, n=1, cutoff=0.4)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"network: expected one of {', '.join(_NAMINGS)}, got {network!r}{hint}")
  path = pathlib.Path(path)
  arrays = read(path)
  try:
    naming = choose(_NAMINGS[network], arrays)
    return fit(naming, arrays), naming.preprocess
  except ValueError as error:
    raise ValueError(f"{path}, as weights of {network}: {error}") from None

"""The files that predictions are written to: none replaces a file that a prediction did not write."""

from __future__ import annotations

import glob
import os
import pathlib
from collections.abc import Sequence

from PIL import Image, PngImagePlugin

WRITER = {"Software": "python -m train.predict"}
"""Text of every PNG that predictions are written to, by which a later prediction knows them."""


def save_png(image: Image.Image, path: pathlib.Path) -> None:
  """Writes a PNG that later predictions may replace."""
  info = PngImagePlugin.PngInfo()
  for key, value in WRITER.items():
    info.add_text(key, value)
  image.save(path, pnginfo=info)


def check_outputs(files: Sequence[pathlib.Path], out: pathlib.Path, alpha: bool) -> None:
  """Checks the names of all results of the photographs `files` in the folder `out`, before any is written.

  Args:
    alpha: whether alpha maps are written, too.

  Raises:
    ValueError: a photograph is the result of an earlier prediction, two results have one name, or a result
      would replace a file that is none, such as a photograph or a label map.
  """
  owners: dict[str, pathlib.Path] = {}
  for file in files:
    if _is_prediction(file):
      raise ValueError(f"--images: {file} was written by train.predict; give a pattern that leaves it out")
    for name in (f"{file.stem}.png", f"{file.stem}-overlay.png"):
      if other := owners.get(name):
        raise ValueError(f"--images: the results of {other} and {file} would overwrite each other: {name}")
      owners[name] = file
  results = [out / name for name in owners]
  if alpha:
    _check_alpha_names(files)
    results += [path for file in files for path in out.glob(f"{glob.escape(file.stem)}-alpha-*.png")]
  for path in results:
    if os.path.lexists(path) and not _is_prediction(path):
      raise ValueError(f"--out {out}: {path.name} exists and is no earlier prediction; choose another folder")


def _check_alpha_names(files: Sequence[pathlib.Path]) -> None:
  """a-alpha-pool1.png is the alpha map of a.jpg, and would be the label map of a-alpha-pool1.jpg."""
  stems = {file.stem: file for file in files}
  for stem, file in stems.items():
    owner, found, _ = stem.partition("-alpha-")
    if found and owner in stems:
      raise ValueError(f"--images: the results of {stems[owner]} and {file} may overwrite each other")


def _is_prediction(path: pathlib.Path) -> bool:
  try:
    with Image.open(path, formats=["PNG"]) as image:
      return WRITER.items() <= image.info.items()
  except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # another format, or damaged
    return False

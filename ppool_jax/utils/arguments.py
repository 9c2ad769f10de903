"""Types of command-line arguments, for `argparse`."""

from __future__ import annotations

import argparse
import pathlib
import re

from ppool_jax.utils.files import local_path


def parse_size(text: str, minimum: int = 1) -> tuple[int, int]:
  """Parses "512x1024" to (height, width).

  Raises:
    argparse.ArgumentTypeError: not two integers of at least `minimum`.
  """
  match = re.fullmatch(r"([0-9]+)x([0-9]+)", text)
  if not match or min(map(int, match.groups())) < minimum:
    raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH such as 512x1024, got {text!r}")
  return int(match[1]), int(match[2])


def parse_path(text: str) -> pathlib.Path:
  """Parses a path of this machine, with ~ expanded.

  Raises:
    argparse.ArgumentTypeError: an empty path or a URL.
  """
  try:
    return local_path(text)
  except ValueError as error:
    raise argparse.ArgumentTypeError(str(error)) from None

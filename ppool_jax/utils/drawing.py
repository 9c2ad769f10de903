"""Imports Matplotlib in any environment."""

from __future__ import annotations

import contextlib
import os
import sys


def accept_any_backend() -> None:
  """Imports Matplotlib whatever the environment variable MPLBACKEND says; figures are only written to files.

  Jupyter and Colab export "module://matplotlib_inline.backend_inline" to the programs that they start, and
  Matplotlib cannot be imported where that module is not installed.
  """
  name = os.environ.get("MPLBACKEND")
  if name is None or "matplotlib" in sys.modules:
    return
  del os.environ["MPLBACKEND"]
  try:
    import matplotlib as mpl

    with contextlib.suppress(ValueError):
      mpl.rcParams["backend"] = name
  finally:
    os.environ["MPLBACKEND"] = name

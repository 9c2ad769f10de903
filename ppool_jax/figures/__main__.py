"""Draws Figures 2 and 3 of Wei et al., CVPR 2019, and the figure of docs/THEORY.md.

Usage: `python -m ppool_jax.figures --out DIR`.
"""

from __future__ import annotations

import argparse
import io
import pathlib
import sys
import time

from matplotlib.figure import Figure
from PIL import Image

from ppool_jax.figures import corners, lp_gradient, surfaces
from ppool_jax.utils.arguments import parse_path
from ppool_jax.utils.files import atomic_write

FIGURES = {
  "figure2_corners.png": corners.draw,
  "figure3_surfaces.png": surfaces.draw,
  "theory_lp_gradient.png": lp_gradient.draw,
}


def save(figure: Figure, path: pathlib.Path) -> None:
  """Writes a figure to a PNG file, atomically.

  Raises:
    OSError: the file or its directory cannot be written.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  figure.savefig(rendered := io.BytesIO())
  # A palette quarters the size of the shaded surfaces; colors change by at most 12 of 255.
  palette = Image.open(rendered).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE)
  with atomic_write(path) as file:
    palette.save(file, format="PNG", optimize=True)


def main(arguments: list[str] | None = None) -> int:
  """Draws all figures; returns the exit status: 2 if a file cannot be written."""
  parser = argparse.ArgumentParser(prog="python -m ppool_jax.figures", description=__doc__)
  parser.add_argument(
    "--out", type=parse_path, required=True, metavar="DIR", help="directory for the PNG files"
  )
  out = parser.parse_args(arguments).out
  for number, (name, draw) in enumerate(FIGURES.items(), start=1):
    start = time.perf_counter()
    figure = draw()
    try:
      save(figure, out / name)
    except OSError as error:
      print(f"--out: cannot write {out / name}: {error.strerror or error}", file=sys.stderr)
      return 2
    print(f"[{number}/{len(FIGURES)}] {out / name} ({time.perf_counter() - start:.1f} s)", flush=True)
  return 0


if __name__ == "__main__":
  sys.exit(main())

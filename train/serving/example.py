"""Predicts photographs with the exported model: python predict.py PHOTO... writes PHOTO-classes.png.

It needs jax, flatbuffers, numpy and Pillow, and no code of the project that trained the model.
"""

import argparse
import io
import json
import pathlib
import sys

import jax
import numpy as np
from jax import export
from PIL import Image

FOLDER = pathlib.Path(__file__).parent
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def main() -> None:
  parser = argparse.ArgumentParser("predict.py", description=__doc__)
  parser.add_argument("photographs", nargs="+", type=pathlib.Path, metavar="PHOTO")
  parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="folder (default: the photograph's)")
  photographs, out = vars(parser.parse_args()).values()
  results = [(out or file.parent) / f"{file.name}-classes.png" for file in photographs]
  for file, result in zip(photographs, results, strict=True):
    if not file.is_file():
      sys.exit(f"error: no such photograph: {file}")
    if result.exists() or results.count(result) > 1:
      sys.exit(f"error: {result} exists, or is the result of two photographs; choose another --out")
  model = export.deserialize(bytearray((FOLDER / "model.jaxexport").read_bytes()))
  variables = jax.device_put(dict(np.load(FOLDER / "variables.npz")))
  predict = jax.jit(model.call)  # compiles once per shape of `images`
  classes = json.loads((FOLDER / "classes.json").read_text())
  for file, result in zip(photographs, results, strict=True):
    output = np.asarray(predict(variables, read(file)[None]))[0]
    picture = Image.fromarray(output if output.ndim == 2 else output.argmax(-1).astype(np.uint8))
    picture.putpalette([value for row in classes for value in row["color"]])
    result.parent.mkdir(parents=True, exist_ok=True)
    picture.save(result)
    print(result)


def read(file: pathlib.Path) -> np.ndarray:
  """Reads a photograph as RGB, uint8 [height, width, 3]; exits if it has another depth or is damaged."""
  content = file.read_bytes()
  try:
    with Image.open(io.BytesIO(content)) as image:
      image.load()
  except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
    sys.exit(f"error: {file}: not a readable image ({error})")
  # Pillow silently converts a 16-bit PNG to 8 bits, or to white.
  if image.mode not in MODES or (image.format == "PNG" and content[24] == 16):
    sys.exit(f"error: {file}: expected an image of 8 bits per channel; convert it first")
  return np.asarray(image.convert("RGB"))


if __name__ == "__main__":
  main()

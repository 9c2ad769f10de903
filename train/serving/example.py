"""Predicts photographs with the exported model: python predict.py PHOTO... writes PHOTO-classes.png.

It needs jax, flatbuffers, numpy and Pillow, and no code of the project that trained the model.
"""

import json
import pathlib
import sys

import jax
import numpy as np
from jax import export
from PIL import Image

FOLDER = pathlib.Path(__file__).parent


def main(photographs: list[str]) -> None:
  if not photographs:
    sys.exit("usage: python predict.py PHOTO...")
  model = export.deserialize(bytearray((FOLDER / "model.jaxexport").read_bytes()))
  variables = jax.device_put(dict(np.load(FOLDER / "variables.npz")))
  predict = jax.jit(model.call)  # compiles once per shape of `images`
  classes = json.loads((FOLDER / "classes.json").read_text())
  for file in photographs:
    if not pathlib.Path(file).is_file():
      sys.exit(f"error: no such photograph: {file}")
    images = np.asarray(Image.open(file).convert("RGB"))[None]  # uint8 [1, height, width, 3]
    output = np.asarray(predict(variables, images))[0]
    picture = Image.fromarray(output if output.ndim == 2 else output.argmax(-1).astype(np.uint8))
    picture.putpalette([value for row in classes for value in row["color"]])
    picture.save(f"{file}-classes.png")
    print(f"{file}-classes.png")


if __name__ == "__main__":
  main(sys.argv[1:])

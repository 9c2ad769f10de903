"""python -m train.predict --workdir DIR --images GLOB --out DIR: label maps, overlays, alpha maps."""

from __future__ import annotations

import argparse
import glob
import pathlib

import jax
import matplotlib as mpl
from PIL import Image

from train.alpha import alpha_maps
from train.alpha_pictures import draw_channel_means, draw_maps
from train.data.files import read_image
from train.errors import report_errors
from train.evaluate import make_predict
from train.experiment import Experiment
from train.pictures import overlay, palette_image
from train.progress import track


def main() -> None:
  parser = argparse.ArgumentParser(prog="python -m train.predict", description=__doc__)
  parser.add_argument("--workdir", required=True, type=pathlib.Path, help="of the training")
  parser.add_argument("--images", required=True, help='photographs, such as "photos/*.jpg"')
  parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for the results")
  parser.add_argument("--step", type=int, help="checkpoint to use (default: the newest)")
  parser.add_argument("--alpha", action="store_true", help="draw the alpha maps of every P-pooling unit")
  parser.add_argument(
    "--channels", type=int, nargs="+", metavar="C", help="channels to draw (default: four that differ most)"
  )
  arguments = parser.parse_args()
  with report_errors():
    predict(**vars(arguments))


def predict(workdir, images: str, out, step: int | None, alpha: bool, channels: list[int] | None) -> None:
  """Writes NAME.png (palette, train ids) and NAME-overlay.png for every photograph, and on request
  NAME-alpha-UNIT.png and NAME-alpha-means.png (the paper's Figure 6).

  Raises:
    FileNotFoundError: no run, or no photograph.
    ValueError: an unreadable photograph, two of one name, or alpha maps of a network without P-pooling.
  """
  from train.run import open_run

  mpl.use("Agg")
  files = [pathlib.Path(name) for name in sorted(glob.glob(images, recursive=True))]
  if not files:
    raise FileNotFoundError(f"--images {images}: no such files")
  stems = [file.stem for file in files]
  if len(set(stems)) < len(stems):
    twice = next(stem for stem in stems if stems.count(stem) > 1)
    raise ValueError(
      f"--images {images}: two files are called {twice}; their results would overwrite each other"
    )
  run = open_run(workdir, step)
  label = make_predict(run.experiment, run.config)
  out = pathlib.Path(out)
  out.mkdir(parents=True, exist_ok=True)
  for file in track(files, "predicting", "images"):
    image = read_image(file)
    labels = label(run.variables, image[None])[0]
    palette_image(labels, run.experiment.table).save(out / f"{file.stem}.png")
    Image.fromarray(overlay(image, labels, run.experiment.table)).save(out / f"{file.stem}-overlay.png")
    if alpha:
      maps = find_alpha(run.experiment, run.variables, image)
      for unit, values in maps.items():
        draw_maps(unit, values, channels, out / f"{file.stem}-alpha-{unit}.png")
      draw_channel_means(image, maps, out / f"{file.stem}-alpha-means.png")
  print(f"{len(files)} images are in {out}")


def find_alpha(experiment: Experiment, variables, image) -> dict:
  """Alpha maps of one uint8 RGB image `[H, W, 3]`, float32 `[h, w, C]` by unit.

  Raises:
    ValueError: the network has no P-pooling.
  """

  @jax.jit
  def sow(variables, images):
    inputs = experiment.preprocess(images)
    return alpha_maps(experiment.model.apply(variables, inputs, mutable=["intermediates"])[1])

  maps = {unit: jax.device_get(values[0]) for unit, values in sow(variables, image[None]).items()}
  if not maps:
    raise ValueError("--alpha: this network has no P-pooling")
  return maps


if __name__ == "__main__":
  main()

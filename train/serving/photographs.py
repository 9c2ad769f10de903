"""Predicts photographs with a run: label maps, overlays and alpha maps."""

from __future__ import annotations

import pathlib

import numpy as np
from PIL import Image

from train.analysis.alpha_maps import draw_channel_means, draw_maps
from train.analysis.picture import AlphaExtractor
from train.data.preparation.image_files import read_image
from train.evaluation.predictor import Predictor
from train.experiment.run import open_run
from train.serving.outputs import WRITER, check_outputs, save_png
from train.submission.images import find_images
from train.utils.progress import track
from train.visualization.colorize import overlay, to_palette_image


def predict(workdir, images: str, out, step: int | None, alpha: bool, channels: list[int] | None) -> None:
  """Writes the predictions of photographs into the folder `out`.

  For every photograph these are NAME.png (a palette image of train ids), NAME-overlay.png, and with `alpha`
  NAME-alpha-UNIT.png and NAME-alpha-means.png, the parts of the paper's Figure 6.

  Args:
    workdir: of the run.
    images: a pattern of photographs.
    step: the checkpoint; None: the newest.
    channels: of the alpha maps; None: four that differ most.

  Raises:
    FileNotFoundError: no run, or no photograph.
    ValueError: an unreadable photograph, a result that would overwrite another file (`check_outputs`), or
      alpha maps of a network without P-pooling.
  """
  files, out = find_images(images), pathlib.Path(out)
  check_outputs(files, out, alpha)
  run = open_run(workdir, step)
  predictor = Predictor(run.experiment, run.config)
  alpha_pictures = AlphaExtractor(run.experiment, run.variables, run.config.seed) if alpha else None
  out.mkdir(parents=True, exist_ok=True)
  for file in track(files, "predicting", "images"):
    image = read_image(file)
    labels = predictor(run.variables, image[None])[0]
    save_png(to_palette_image(labels, run.experiment.table), out / f"{file.stem}.png")
    blended = Image.fromarray(overlay(image, labels, run.experiment.table))
    save_png(blended, out / f"{file.stem}-overlay.png")
    if alpha_pictures:
      _write_alpha_maps(alpha_pictures, image, channels, out / f"{file.stem}-alpha")
  print(f"wrote the predictions of {len(files)} images to {out}")


def _write_alpha_maps(
  pictures: AlphaExtractor, image: np.ndarray, channels: list[int] | None, stem: pathlib.Path
) -> None:
  picture = pictures(image)
  figures = {unit: draw_maps(picture, unit, channels) for unit in picture.units}
  for name, figure in {**figures, "means": draw_channel_means(picture)}.items():
    figure.savefig(stem.with_name(f"{stem.name}-{name}.png"), dpi=100, metadata=WRITER)

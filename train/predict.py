"""Label maps, overlays and alpha maps of photographs; or what a benchmark's server takes.

python -m train.predict --workdir DIR --images GLOB --out DIR [--alpha]
python -m train.predict --workdir DIR --submission voc --out DIR [--split test]
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
from PIL import Image

from train.analysis.alpha_maps import draw_channel_means, draw_maps
from train.analysis.observe import Observer
from train.analysis.picture import AlphaPictures
from train.analysis.units import check_pooling
from train.data.preparation.image_files import read_image
from train.data.submission_formats import SUBMISSION_FORMATS
from train.evaluation.predictor import Predictor
from train.experiment.experiment import Experiment
from train.submission.images import find_images
from train.submission.write import write_submission
from train.utils.errors import report_errors
from train.utils.progress import track
from train.visualization.colorize import overlay, to_palette_image


def main() -> None:
  arguments = parse()
  with report_errors():
    if "submission" in arguments:
      write_submission(**arguments)
    else:
      predict(**arguments)


def parse(command: list[str] | None = None) -> dict:
  """The arguments, for `write_submission` if submission is among them, or for `predict`.

  Args:
    command: the words after the program's name; None: those that it was called with.
  """
  parser = _parser()
  arguments = vars(parser.parse_args(command))
  needless = ("alpha", "channels") if arguments["submission"] else ("submission", "split")
  for name in [name for name in needless if arguments.pop(name)]:
    parser.error(f"--{name} does not go {'with' if 'submission' in arguments else 'without'} --submission")
  if arguments["images"] and arguments.get("split"):
    parser.error("--split does not go with --images")
  if not arguments["images"] and "submission" not in arguments:
    parser.error("--images or --submission is needed")
  return arguments


def _parser() -> argparse.ArgumentParser:
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser("python -m train.predict", description=__doc__, formatter_class=raw)
  parser.add_argument("--workdir", required=True, type=pathlib.Path, help="of the training")
  parser.add_argument("--images", help='photographs, such as "photos/*.jpg"')
  parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for the results")
  parser.add_argument("--step", type=int, help="checkpoint to use (default: the newest)")
  parser.add_argument("--alpha", action="store_true", help="draw the alpha maps of every P-pooling unit")
  channels = "channels to draw (default: four that differ most)"
  parser.add_argument("--channels", type=int, nargs="+", metavar="C", help=channels)
  parser.add_argument(
    "--submission", choices=SUBMISSION_FORMATS, help="predict, pack and check what its server takes"
  )
  split = "of the run's data set, for a submission without --images (default: test)"
  parser.add_argument("--split", help=split)
  return parser


def predict(workdir, images: str, out, step: int | None, alpha: bool, channels: list[int] | None) -> None:
  """Writes NAME.png (palette, train ids) and NAME-overlay.png for every photograph, and on request
  NAME-alpha-UNIT.png and NAME-alpha-means.png (the parts of the paper's Figure 6).

  Raises:
    FileNotFoundError: no run, or no photograph.
    ValueError: an unreadable photograph, two of one name, or alpha maps of a network without P-pooling.
  """
  from train.experiment.run import open_run

  files = find_images(images)
  stems = [file.stem for file in files]
  if len(set(stems)) < len(stems):
    twice = next(stem for stem in stems if stems.count(stem) > 1)
    raise ValueError(
      f"--images {images}: two files are called {twice}; their results would overwrite each other"
    )
  run = open_run(workdir, step)
  label = Predictor(run.experiment, run.config)
  pictures = AlphaPictures(run.experiment, run.variables, run.config.seed) if alpha else None
  out = pathlib.Path(out)
  out.mkdir(parents=True, exist_ok=True)
  for file in track(files, "predicting", "images"):
    image = read_image(file)
    labels = label(run.variables, image[None])[0]
    to_palette_image(labels, run.experiment.table).save(out / f"{file.stem}.png")
    Image.fromarray(overlay(image, labels, run.experiment.table)).save(out / f"{file.stem}-overlay.png")
    if pictures:
      picture = pictures(image)
      figures = {unit: draw_maps(picture, unit, channels) for unit in picture.units}
      for name, figure in {**figures, "means": draw_channel_means(picture)}.items():
        figure.savefig(out / f"{file.stem}-alpha-{name}.png", dpi=100)
  print(f"{len(files)} images are in {out}")


def find_alpha(experiment: Experiment, variables, image: np.ndarray) -> dict[str, np.ndarray]:
  """Alpha maps of one uint8 RGB image `[H, W, 3]`, float32 `[h, w, C]` by unit; padding is left out.

  Raises:
    ValueError: the network has no P-pooling.
  """
  observer = Observer(experiment)
  check_pooling(observer.units, "--alpha")
  return {unit: found.alpha for unit, found in observer(variables, image).items()}


if __name__ == "__main__":
  main()

"""Predicts photographs as label maps, overlays and alpha maps, or a submission for a benchmark's server.

python -m train.predict --workdir DIR --images GLOB --out DIR [--alpha]
python -m train.predict --workdir DIR --submission voc --out DIR [--split test]
"""

from __future__ import annotations

import argparse

from ppool_jax.utils.arguments import parse_path
from train.data.submission_formats import SUBMISSION_FORMATS
from train.serving.photographs import predict
from train.submission.write import write_submission
from train.utils.errors import report_errors


def main() -> None:
  arguments = parse()
  with report_errors():
    if "submission" in arguments:
      write_submission(**arguments)
    else:
      predict(**arguments)


def parse(command: list[str] | None = None) -> dict:
  """Parses the command line into the arguments of `write_submission` (if submission is given) or `predict`.

  Args:
    command: the words after the program's name; None: those of this process.
  """
  parser = _build_parser()
  arguments = vars(parser.parse_args(command))
  unused = ("alpha", "channels") if arguments["submission"] else ("submission", "split")
  for name in [name for name in unused if arguments.pop(name)]:
    parser.error(f"--{name} does not go {'with' if 'submission' in arguments else 'without'} --submission")
  if arguments["images"] and arguments.get("split"):
    parser.error("--split does not go with --images")
  if not arguments["images"] and "submission" not in arguments:
    parser.error("--images or --submission is needed")
  return arguments


def _build_parser() -> argparse.ArgumentParser:
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser("python -m train.predict", description=__doc__, formatter_class=raw)
  parser.add_argument("--workdir", required=True, type=parse_path, help="of the run")
  parser.add_argument("--images", help='photographs, such as "photos/*.jpg"')
  parser.add_argument("--out", required=True, type=parse_path, help="folder for the results")
  parser.add_argument("--step", type=int, help="checkpoint to use (default: the newest)")
  parser.add_argument("--alpha", action="store_true", help="also draw the alpha maps of every P-pooling unit")
  channels = "channels to draw (default: four that differ most)"
  parser.add_argument("--channels", type=int, nargs="+", metavar="C", help=channels)
  parser.add_argument(
    "--submission", choices=SUBMISSION_FORMATS, help="predict, pack and check a submission for this server"
  )
  split = "of the run's data set, for a submission without --images (default: test)"
  parser.add_argument("--split", help=split)
  return parser


if __name__ == "__main__":
  main()

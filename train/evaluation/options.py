"""The command line of python -m train.evaluate."""

from __future__ import annotations

import argparse
import pathlib

from train.evaluation.label_maps import IDS

VIEWS = ("pad_multiple", "scales", "flip", "window", "stride")
"""Fields of config.eval that change the predictions."""

_CHANGES = ("batch_size", *VIEWS)
_OF_A_RUN = ("step", *_CHANGES)
_OF_FILES = ("data", "dir", "ids")


def parse(description: str, command: list[str] | None = None) -> dict:
  """The arguments that were given, for `evaluate_workdir` if workdir is among them, or `evaluate_files`.

  Args:
    command: the words after the program's name; None: those that it was called with.
  """
  parser = _parser(description)
  arguments = {name: value for name, value in vars(parser.parse_args(command)).items() if value is not None}
  kind, other = ("workdir", _OF_FILES) if "workdir" in arguments else ("predictions", _OF_A_RUN)
  if spare := [name for name in other if name in arguments]:
    parser.error(f"--{spare[0]} does not go with --{kind}")
  if kind == "predictions" and "data" not in arguments:
    parser.error("--predictions needs --data, the name of the data set")
  if kind == "workdir":
    arguments["changes"] = {name: arguments.pop(name) for name in _CHANGES if name in arguments}
  return arguments


def _parser(description: str) -> argparse.ArgumentParser:
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser("python -m train.evaluate", description=description, formatter_class=raw)
  what = parser.add_mutually_exclusive_group(required=True)
  what.add_argument("--workdir", type=pathlib.Path, help="of the training")
  what.add_argument("--predictions", type=pathlib.Path, help="folder, zip or tar of label maps ID.png")
  both = parser.add_argument_group("of both")
  both.add_argument("--split", help="of the data set (default: of a run the config's, else val)")
  ratio = "Boundary IoU in a band of RATIO x the image's diagonal (default: 0.02), and the trimaps' mIoU"
  both.add_argument("--boundary", type=float, nargs="?", const=0.02, metavar="RATIO", help=ratio)
  both.add_argument("--pictures", type=int, metavar="N", help="draw the N best and the N worst images")
  _add_run(parser.add_argument_group("of a run", "Without them as its config.eval says."))
  files = parser.add_argument_group("of predictions made elsewhere")
  files.add_argument("--data", help="name of the data set, such as voc")
  files.add_argument("--dir", help="where it is prepared (default: data)")
  files.add_argument("--ids", choices=IDS, help="what the files hold (default: train)")
  return parser


def _add_run(group) -> None:
  group.add_argument("--step", type=int, help="checkpoint to evaluate (default: the newest)")
  group.add_argument("--batch-size", type=int, help="images of one size at once")
  group.add_argument(
    "--pad-multiple", type=int, metavar="N", help="pad sides up to multiples of N; 0: do not"
  )
  group.add_argument("--scales", type=float, nargs="+", metavar="S", help="average over these scales")
  flip = argparse.BooleanOptionalAction
  group.add_argument("--flip", action=flip, help="average with the mirrored image")
  group.add_argument("--window", type=_size, metavar="HxW", help="a sliding window; 0x0: whole images")
  group.add_argument("--stride", type=_size, metavar="HxW", help="of the window")


def _size(text: str) -> tuple[int, int]:
  """Two numbers with an x between them."""
  height, width = text.split("x")
  return int(height), int(width)

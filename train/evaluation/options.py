"""The command line of python -m train.evaluate."""

from __future__ import annotations

import argparse
import functools

from ppool_jax.utils.arguments import parse_path, parse_size
from train.evaluation.label_maps import LABEL_IDS
from train.evaluation.predictor import INFERENCE_FIELDS

_CONFIG_OPTIONS = ("batch_size", *INFERENCE_FIELDS)
_RUN_OPTIONS = ("step", *_CONFIG_OPTIONS)
_LABEL_MAP_OPTIONS = ("data", "dir", "ids")


def parse(description: str, command: list[str] | None = None) -> dict:
  """Parses the command line into arguments of `evaluate_workdir` (if workdir is given) or
  `evaluate_label_maps`; options that were not given are left out.

  Args:
    command: the words after the program's name; None: those of this process.
  """
  parser = _build_parser(description)
  arguments = {name: value for name, value in vars(parser.parse_args(command)).items() if value is not None}
  kind, others = ("workdir", _LABEL_MAP_OPTIONS) if "workdir" in arguments else ("predictions", _RUN_OPTIONS)
  if unused := [name for name in others if name in arguments]:
    parser.error(f"--{unused[0]} does not go with --{kind}")
  if kind == "predictions" and "data" not in arguments:
    parser.error("--predictions needs --data, the name of the data set")
  if kind == "workdir":
    arguments["changes"] = {name: arguments.pop(name) for name in _CONFIG_OPTIONS if name in arguments}
  return arguments


def _build_parser(description: str) -> argparse.ArgumentParser:
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser("python -m train.evaluate", description=description, formatter_class=raw)
  what = parser.add_mutually_exclusive_group(required=True)
  what.add_argument("--workdir", type=parse_path, help="of the run to evaluate")
  what.add_argument("--predictions", type=parse_path, help="folder, zip or tar of label maps ID.png")
  common = parser.add_argument_group("common options")
  common.add_argument("--split", help="of the data set (default: for a run its config's, else val)")
  ratio = "Boundary IoU in a band of RATIO x the image's diagonal (default: 0.02), and the trimaps' mIoU"
  common.add_argument("--boundary", type=float, nargs="?", const=0.02, metavar="RATIO", help=ratio)
  common.add_argument("--pictures", type=int, metavar="N", help="draw the N best and the N worst images")
  _add_run_options(parser.add_argument_group("options of a run", "The defaults are its config.eval."))
  maps = parser.add_argument_group("options of label maps")
  maps.add_argument("--data", help="name of the data set, such as voc")
  maps.add_argument("--dir", help="folder where it is prepared (default: data)")
  maps.add_argument("--ids", choices=LABEL_IDS, help="what the pixels hold (default: train)")
  return parser


def _add_run_options(group) -> None:
  group.add_argument("--step", type=int, help="checkpoint to evaluate (default: the newest)")
  group.add_argument("--batch-size", type=int, help="images of one size per batch")
  group.add_argument(
    "--pad-multiple", type=int, metavar="N", help="pad sides up to multiples of N; 0: no padding"
  )
  group.add_argument("--scales", type=float, nargs="+", metavar="S", help="average over these scales")
  flip = argparse.BooleanOptionalAction
  group.add_argument("--flip", action=flip, help="average with the mirrored image")
  size = functools.partial(parse_size, minimum=0)
  group.add_argument("--window", type=size, metavar="HxW", help="sliding window; 0x0: whole images")
  group.add_argument("--stride", type=size, metavar="HxW", help="stride of the window")

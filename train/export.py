"""Exports a run's checkpoint as a folder that predicts without this project, on CPU, GPU and TPU.

python -m train.export --workdir DIR [--out DIR] [--output probabilities] [--fixed 512x1024]
"""

from __future__ import annotations

import argparse

from ppool_jax.utils.arguments import parse_path, parse_size
from train.serving.export import OUTPUTS, PLATFORMS, export
from train.utils.errors import report_errors


def main() -> None:
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser("python -m train.export", description=__doc__, formatter_class=raw)
  parser.add_argument("--workdir", required=True, type=parse_path, help="of the run")
  parser.add_argument("--out", type=parse_path, help="new or empty folder (default: WORKDIR/export)")
  parser.add_argument("--step", type=int, help="checkpoint to use (default: the newest)")
  output = "what the model returns: uint8 [b, h, w] or float32 [b, h, w, classes] (default: classes)"
  parser.add_argument("--output", choices=OUTPUTS, default="classes", help=output)
  platforms = f"platforms to export for, from {', '.join(PLATFORMS)}, rocm (default: the first three)"
  parser.add_argument("--platforms", nargs="+", choices=(*PLATFORMS, "rocm"), default=PLATFORMS, metavar="P",
                      help=platforms)  # fmt: skip
  fixed = "images of this size only, which eval.scales and eval.window need (default: any size)"
  parser.add_argument("--fixed", type=parse_size, metavar="HxW", help=fixed)
  with report_errors():
    export(**vars(parser.parse_args()))


if __name__ == "__main__":
  main()

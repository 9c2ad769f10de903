"""python -m train --config=configs/NAME.py:key=value,... --workdir=DIR [--config.field=value] [--change]

Trains what a config describes; the same command goes on where it was. --config.field=value changes any field:
configs/common.py lists them all, with defaults and meaning. The keys after the colon are those that
get_config of the file takes.
"""

from __future__ import annotations

import argparse
import logging
import pathlib
import sys

from train.utils.errors import report_errors


def main(command: list[str]) -> None:
  arguments, rest = _parser().parse_known_args(command)
  from train.checkpointing import workdir as workdirs
  from train.distributed import initialize, multihost
  from train.experiment.overrides import parse_config_only

  config = parse_config_only(rest)
  logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
  if config.deterministic:
    initialize.set_deterministic()

  with initialize.joined(config.cluster, config.cluster_timeout), report_errors():
    if finished := multihost.on_first(workdirs.finished, arguments.workdir, config, arguments.change):
      print(finished)
      return
    logging.getLogger("train").setLevel(logging.INFO if multihost.first() else logging.WARNING)
    from train.loop.loop import train

    train(config, arguments.workdir, arguments.change)


def _parser() -> argparse.ArgumentParser:
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser(
    "python -m train", description=__doc__, formatter_class=raw, allow_abbrev=False
  )
  help = "folder of the run; the same command again goes on there"
  parser.add_argument("--workdir", required=True, type=pathlib.Path, metavar="DIR", help=help)
  help = "go on with another config from the newest checkpoint; recorded in WORKDIR/changes.json"
  parser.add_argument("--change", action="store_true", help=help)
  return parser


if __name__ == "__main__":
  with report_errors():
    main(sys.argv[1:])

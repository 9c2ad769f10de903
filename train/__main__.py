"""python -m train --config=configs/NAME.py:key=value,... --workdir=DIR [--config.field=value] [--change]

Trains what a config describes; the same command resumes an interrupted run. --config.field=value changes any
field: configs/common.py lists them all, with defaults and meaning. The keys after the colon are those that
get_config of the file takes.
"""

from __future__ import annotations

import argparse
import logging
import sys

from ppool_jax.utils.arguments import parse_path
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

  with initialize.process_group(config.cluster, config.cluster_timeout), report_errors():
    if finished := multihost.on_primary(
      workdirs.describe_finished, arguments.workdir, config, arguments.change
    ):
      print(finished)
      return
    logging.getLogger("train").setLevel(logging.INFO if multihost.is_primary() else logging.WARNING)
    from train.loop.loop import train

    train(config, arguments.workdir, arguments.change)


def _parser() -> argparse.ArgumentParser:
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser(
    "python -m train", description=__doc__, formatter_class=raw, allow_abbrev=False
  )
  help = "directory of the run; the same command again resumes it"
  parser.add_argument("--workdir", required=True, type=parse_path, metavar="DIR", help=help)
  help = "continue with another config from the newest checkpoint; recorded in WORKDIR/changes.json"
  parser.add_argument("--change", action="store_true", help=help)
  return parser


if __name__ == "__main__":
  with report_errors():
    main(sys.argv[1:])

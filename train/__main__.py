"""python -m train --config=configs/NAME.py:key=value,... --workdir=DIR [--config.field=value]

Trains what a config describes; the same command goes on where it was. --config.field=value changes any field:
configs/common.py lists them all, with defaults and meaning. The keys after the colon are those that
get_config of the file takes.
"""

from __future__ import annotations

import logging
import os
import pathlib
import sys

from absl import app, flags
from ml_collections import config_flags

from train.config import check_overrides
from train.errors import report_errors

_CONFIG = config_flags.DEFINE_config_file("config", None, "Config file, with :key=value,... for get_config.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; the same command again goes on there.")

_CHANGE = flags.DEFINE_bool(
  "change", False, "Go on with another config from the newest checkpoint; recorded in WORKDIR/changes.json."
)


def main(arguments: list[str]) -> None:
  if len(arguments) > 1:
    sys.exit(f"error: expected flags only, got {arguments[1:]}")
  config, workdir = _CONFIG.value, pathlib.Path(_WORKDIR.value)
  logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
  if config.deterministic:
    # Read when the backend starts, which importing JAX does not do.
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_deterministic_ops=true"
  from train import hosts, joining, workdir as workdirs

  with report_errors(), joining.joined(config.hosts, config.hosts_wait), report_errors():
    if finished := hosts.on_first(workdirs.finished, workdir, config, _CHANGE.value):
      print(finished)
      return
    logging.getLogger("train").setLevel(logging.INFO if hosts.first() else logging.WARNING)
    from train.loop import train

    train(config, workdir, _CHANGE.value)


if __name__ == "__main__":
  if "--help" in sys.argv:
    # absl would show the same and exit with 1.
    app.usage(shorthelp=True, writeto_stdout=True, exitcode=0)
  flags.mark_flags_as_required(["config", "workdir"])
  with report_errors():
    check_overrides(sys.argv[1:])
    app.run(main)

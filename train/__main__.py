"""python -m train --config=configs/NAME.py:key=value,... --workdir=DIR [--config.field=value]"""

from __future__ import annotations

import json
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


def main(arguments: list[str]) -> None:
  if len(arguments) > 1:
    sys.exit(f"error: expected flags only, got {arguments[1:]}")
  config, workdir = _CONFIG.value, pathlib.Path(_WORKDIR.value)
  logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
  if config.deterministic:
    # Read when the backend starts, which importing JAX does not do.
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_deterministic_ops=true"
  from train import hosts

  with report_errors(), hosts.joined(config.hosts), report_errors():
    if finished := hosts.on_first(_finished, workdir):
      print(finished)
      return
    logging.getLogger("train").setLevel(logging.INFO if hosts.first() else logging.WARNING)
    from train.loop import train

    train(config, workdir)


def _finished(workdir: pathlib.Path) -> str:
  """What a finished run is, or nothing."""
  path = workdir / "summary.json"
  if not path.is_file():
    return ""
  summary = json.loads(path.read_text())
  return f"{workdir} is finished: step {summary['step']}, mIoU {summary['miou']:.4f}"


if __name__ == "__main__":
  flags.mark_flags_as_required(["config", "workdir"])
  with report_errors():
    check_overrides(sys.argv[1:])
    app.run(main)

"""python -m train.plan --config=configs/NAME.py:key=value,... --topology v5e:4x8 [v5e:16x16 ...]

Compiles the training step of a config for TPU slices, on any machine, and prints what it needs there:
memory, operations, bytes moved and collectives of a chip, an estimate of the time from the chip's published
peaks, and the largest global batch that fits. Nothing runs and no data is read. --config.FIELD=VALUE changes
a field of the config, as in python -m train; configs/common.py lists them all, with defaults and meaning.
Needs libtpu: make env EXTRAS=plan.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

from train.experiment.overrides import parse_config_only
from train.planning.chips import chip_of
from train.planning.programs import Programs, check
from train.planning.slices import plan_slice, prepare_jax, share_of
from train.utils.errors import report_errors


def main(command: list[str]) -> None:
  arguments, rest = _parser().parse_known_args(command)
  config = parse_config_only(rest)
  for topology in arguments.topology:
    chip_of(topology)
  if arguments.batch_per_chip is not None and arguments.batch_per_chip < 1:
    raise ValueError(f"--batch-per-chip: expected a positive number, got {arguments.batch_per_chip}")
  programs = Programs(arguments.out)
  prepare_jax()
  check(config)
  if config.parallel != "jit":
    print(f'The step as parallel="jit" spreads it; the config says "{config.parallel}", the same step')
  likely = None
  for topology in arguments.topology:
    batch = arguments.batch_per_chip or share_of(config, topology)
    plan = plan_slice(programs, config, topology, batch, arguments.search, likely)
    likely = plan.largest
    print(plan, flush=True)


def _parser() -> argparse.ArgumentParser:
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser(
    "python -m train.plan", description=__doc__, formatter_class=raw, allow_abbrev=False
  )
  add, flag = parser.add_argument, argparse.BooleanOptionalAction
  add("--topology", nargs="+", required=True, help="slices, such as v5e:2x4 v5e:16x16")
  add("--batch-per-chip", type=int, metavar="N", help="default: config.batch_size over the chips, or 1")
  add("--search", action=flag, default=True, help="find the largest batch that fits: some ten programs")
  add("--out", type=pathlib.Path, metavar="FILE", help="JSON of the plans; what it has is not compiled again")
  return parser


if __name__ == "__main__":
  with report_errors():
    main(sys.argv[1:])

"""python -m train.plan --config=configs/NAME.py:key=value,... --topology v5e:4x8 [v5e:16x16 ...]

Compiles the training step of a config for TPU slices, on any machine, and prints its cost per chip: memory,
operations, bytes moved and collectives, an estimate of the time from the chip's published peaks, and the
largest global batch that fits. Nothing runs and no data is read. --config.FIELD=VALUE changes a field of the
config, as in python -m train; configs/common.py lists them all. Needs libtpu: make env EXTRAS=plan.
"""

from __future__ import annotations

import argparse
import sys

from ppool_jax.utils.arguments import parse_path
from train.experiment.overrides import parse_config_only
from train.planning.chips import lookup_chip
from train.planning.lower_step import check_config
from train.planning.program_cache import ProgramCache
from train.planning.slices import batch_per_chip, configure_jax, plan_slice
from train.utils.errors import report_errors


def main(command: list[str]) -> None:
  arguments, rest = _build_parser().parse_known_args(command)
  config = parse_config_only(rest)
  for topology in arguments.topology:
    lookup_chip(topology)
  if arguments.batch_per_chip is not None and arguments.batch_per_chip < 1:
    raise ValueError(f"--batch-per-chip: expected a positive number, got {arguments.batch_per_chip}")
  programs = ProgramCache(arguments.out)
  configure_jax()
  check_config(config)
  if config.parallel != "jit":
    print(f'planning the step for parallel="jit"; the config has "{config.parallel}", the same computation')
  initial_guess = None
  for topology in arguments.topology:
    batch = arguments.batch_per_chip or batch_per_chip(config, topology)
    plan = plan_slice(programs, config, topology, batch, arguments.search, initial_guess)
    initial_guess = plan.largest
    print(plan, flush=True)


def _build_parser() -> argparse.ArgumentParser:
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser(
    "python -m train.plan", description=__doc__, formatter_class=raw, allow_abbrev=False
  )
  add, flag = parser.add_argument, argparse.BooleanOptionalAction
  add("--topology", nargs="+", required=True, help="slices, such as v5e:2x4 v5e:16x16")
  add("--batch-per-chip", type=int, metavar="N", help="default: config.batch_size over the chips, or 1")
  add(
    "--search", action=flag, default=True, help="search the largest batch that fits: about ten compilations"
  )
  add("--out", type=parse_path, metavar="FILE", help="JSON cache of plans and compiled programs")
  return parser


if __name__ == "__main__":
  with report_errors():
    main(sys.argv[1:])

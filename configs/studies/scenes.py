"""Compares all poolings, and P-pooling with each alpha source, on generated scenes.

  python -m train.study --study=configs/studies/scenes.py --workdir=runs/studies/scenes

A run takes 100 s on two CPU cores. All alpha sources, including that of the authors' last code, are trained
by Adam at 3 times the base rate, as in `configs/quickstart.py`.

Arguments:
  runlocal: train a few steps with two seeds, to test the whole pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from configs import quickstart
from train.studies.definition import Study, Variant
from train.utils.config import parse_arg

POOLS = {
  "max": "max pooling",
  "avg": "average pooling",
  "strided": "Strided-C",
  "gated": "gated pooling",
  "dpp": "DPP",
  "mixed": "mixed pooling",
  "lp": "Lp pooling",
  "soft": "SoftPool",
}
ALPHAS = {
  "side_branch": "P-pooling (the paper's branch)",
  "authors": "P-pooling (the authors' last code)",
  "log_side_branch": "P-pooling (branch predicts log alpha)",
  "channel": "P-pooling (log alpha per channel)",
}
# Variants that are not in the paper: alpha starts at 1, between average and max pooling. It is predicted or
# learned, at the recipe's rate or ten times that rate.
LOW_INITIAL_ALPHA = {
  "ppool-log-from-1": ("log_side_branch(initial=1)", "P-pooling (branch predicts log alpha, from 1)", {}),
  "ppool-log-from-1-fast": (
    "log_side_branch(initial=1)",
    "P-pooling (branch predicts log alpha, from 1, rate x10)",
    {"optimizer.groups.alpha.lr": 30.0},
  ),
  "ppool-channel-from-1": ("channel(initial=1)", "P-pooling (log alpha per channel, from 1)", {}),
}
# The study compares final results, so it evaluates once at the end and saves few checkpoints.
OVERRIDES = {"eval.every": 0, "checkpoint.seconds": 60.0, "checkpoint.max_to_keep": 1}


def get_study(arg: str | None = None) -> Study:
  """Returns the study; the module's docstring describes the arguments."""
  args = parse_arg(arg, runlocal=False)

  def variant(name: str, pooling: str, title: str, overrides: Mapping = MappingProxyType({})) -> Variant:
    config = quickstart.get_config(pooling + (",runlocal" if args.runlocal else ""))
    return Variant(name, config, {**OVERRIDES, **overrides}, title=title)

  variants = [variant(pool, f"pool={pool}", title) for pool, title in POOLS.items()]
  variants += [variant(f"ppool-{name}", f"pool=ppool,alpha={name}", title) for name, title in ALPHAS.items()]
  for name, (alpha, title, overrides) in LOW_INITIAL_ALPHA.items():
    variants.append(variant(name, f"pool=ppool,alpha={alpha}", title, overrides))
  name, seeds = ("scenes-runlocal", range(2)) if args.runlocal else ("scenes", range(10))
  return Study(name, variants, "max", seeds, "Poolings on generated street scenes")

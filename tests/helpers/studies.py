"""A study file with two variants that train in seconds."""

from __future__ import annotations

import pathlib

from tests.helpers.training import OVERRIDES

STUDY = """
from configs import quickstart
from train.utils.config import parse_arg
from train.studies.definition import Study, Variant

OVERRIDES = {overrides!r}


def get_study(arg=None):
  args = parse_arg(arg, rate=3e-3, name="tiny", seeds=2)
  more = {{**OVERRIDES, "schedule.learning_rate": args.rate}}
  variants = [
    Variant("max", quickstart.get_config("pool=max,runlocal"), OVERRIDES),
    Variant("ppool", quickstart.get_config("pool=ppool,alpha=channel,runlocal"), more, title="P-pooling"),
  ]
  return Study(args.name, variants, "max", range(args.seeds), "A tiny study")
"""


def study_file(folder: pathlib.Path, text: str = STUDY) -> pathlib.Path:
  """Writes the study file into `folder`."""
  folder.mkdir(parents=True, exist_ok=True)
  path = folder / "tiny_study.py"
  path.write_text(text.format(overrides=OVERRIDES))
  return path

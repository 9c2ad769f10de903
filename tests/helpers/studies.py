"""A study file with two variants that train in seconds."""

from __future__ import annotations

import json
import pathlib

import pytest

from tests.helpers.training import OVERRIDES
from train.studies.result import Result
from train.study import main

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


def make_result(study, name="ppool", seed=0, **changes):
  """A finished result of a variant of the study, with changed fields or `weights`."""
  config = json.loads(
    json.dumps(study.resolve_config(next(v for v in study.variants if v.name == name), seed).to_dict())
  )
  config["model"]["weights"] = changes.pop("weights", "")
  found = Result(name, seed, "finished", 6, {"miou": 0.5, "boundary_ratio": 0.02}, 1.0, config, {})
  return found._replace(**changes)


def refuse(*words):
  """The one-line error with which train.study ends for these arguments."""
  with pytest.raises(SystemExit) as ended:
    main(list(words))
  text = str(ended.value)
  assert text.startswith("error: ")
  assert "\n" not in text
  return text

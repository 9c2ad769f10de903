"""Loads and validates study files, and selects their variants and seeds."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Sequence

import ml_collections

from train.studies.definition import Study, Variant
from train.utils.config import load_module, unknown_name_message

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def load_study(spec: str) -> Study:
  """Loads the study of "FILE.py:key=value,...".

  Raises:
    FileNotFoundError: the file does not exist.
    ImportError: importing the file raises an error.
    ValueError: the file does not accept the arguments; two variants have the same name; a seed occurs twice;
      a baseline does not exist; or a variant's name is not a valid folder name.
    TypeError: get_study does not return a `Study` of `Variant`s with configs.
  """
  file, _, arg = spec.partition(":")
  module = load_module(file, "--study", "configs/studies/scenes.py")
  if not hasattr(module, "get_study"):
    raise ValueError(f"--study: {file} has no function get_study")
  study = module.get_study(arg or None)
  _validate(study, file)
  return study


def list_study_files() -> list[pathlib.Path]:
  """The study files in configs/studies/."""
  folder = pathlib.Path(__file__).parents[2] / "configs" / "studies"
  return sorted(path for path in folder.glob("*.py") if not path.stem.startswith("_"))


def parse_seeds(text: str) -> list[int]:
  """Parses seeds such as "0-4,100-104".

  Raises:
    ValueError: the text has another form, or a seed occurs twice.
  """
  seeds = []
  for part in text.split(","):
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
    if not match:
      raise ValueError(f"--seeds: expected numbers and ranges such as 0-4,100, got {text!r}")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
      raise ValueError(f"--seeds: expected a range from low to high, got {part!r}")
    seeds += range(first, last + 1)
  return _validate_seeds(seeds, "--seeds")


def select_variants(study: Study, names: Sequence[str] | None) -> list[Variant]:
  """The variants with the given names; all variants if there are no names.

  Raises:
    ValueError: a name is unknown; the message suggests the closest.
  """
  known = [variant.name for variant in study.variants]
  for name in names or ():
    if name not in known:
      raise ValueError(f"--only: {unknown_name_message(name, known, 'variant')}")
  return [variant for variant in study.variants if not names or variant.name in names]


def _validate(study: Study, file: str) -> None:
  if not isinstance(study, Study) or not all(isinstance(variant, Variant) for variant in study.variants):
    raise TypeError(f"{file}: expected get_study to return a Study of Variants, got {type(study).__name__}")
  names = [variant.name for variant in study.variants]
  if not names:
    raise ValueError(f"{file}: expected at least one variant")
  for variant in study.variants:
    _validate_variant(variant, names, file)
  for name in [study.baseline, *filter(None, (variant.baseline for variant in study.variants))]:
    if name not in names:
      raise ValueError(f"{file}: baseline: {unknown_name_message(name, names, 'variant')}")
  seeds = _validate_seeds(study.seeds, f"{file}: seeds")
  for variant in study.variants:
    study.resolve_config(variant, seeds[0])


def _validate_variant(variant: Variant, names: Sequence[str], file: str) -> None:
  name = variant.name
  if names.count(name) > 1:
    raise ValueError(f"{file}: expected variants of different names, got {name!r} twice")
  if not _NAME.fullmatch(name):
    raise ValueError(f"{file}: expected a variant's name to be a folder's name, got {name!r}")
  if not isinstance(variant.config, ml_collections.ConfigDict):
    kind = type(variant.config).__name__
    raise TypeError(f"{file}: variant {name!r}: expected the config that get_config returns, got a {kind}")
  if "seed" in variant.overrides:
    raise ValueError(f"{file}: variant {name!r}: expected no override of seed, the study sets it")


def _validate_seeds(seeds: Sequence[int], where: str) -> list[int]:
  """The seeds as a list, if there are any and all are different integers of at least 0."""
  seeds = list(seeds)
  if not seeds:
    raise ValueError(f"{where}: expected at least one seed")
  for seed in seeds:
    if type(seed) is not int or seed < 0:
      raise ValueError(f"{where}: expected integers from 0, got {seed!r}")
    if seeds.count(seed) > 1:
      raise ValueError(f"{where}: expected each seed once, got {seed} twice")
  return seeds

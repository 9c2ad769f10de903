"""What a study is: named variants, the one that others are compared with, and seeds."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import ml_collections

from train.experiment.overrides import override_fields
from train.experiment.pooling_config import resolve_pooling
from train.utils.config import load_module, unknown_name_message

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Variant(NamedTuple):
  """One experiment of a study, which is trained once for every seed.

  Attributes:
    name: a folder's name.
    config: of the training, as a config file's get_config returns it.
    overrides: fields that differ from it, {"schedule.learning_rate": 1e-3}.
    baseline: name of the variant that it is compared with, seed by seed; None: the study's.
    title: what tables and figures call it; None: its name.
  """

  name: str
  config: ml_collections.ConfigDict
  overrides: Mapping[str, Any] = {}
  baseline: str | None = None
  title: str | None = None


class Study(NamedTuple):
  """What `get_study` of a study file returns.

  Attributes:
    name: of the study; a workdir belongs to one.
    variants: at least one, of different names.
    baseline: name of the variant that the others are compared with.
    seeds: of initial parameters, order and augmentation.
    title: of the report.
    boundary: the band of Boundary IoU as a share of the image's diagonal.
  """

  name: str
  variants: Sequence[Variant]
  baseline: str
  seeds: Sequence[int]
  title: str = ""
  boundary: float = 0.02

  def baseline_of(self, variant: Variant) -> str | None:
    """The name of the variant that `variant` is compared with; None: it is a baseline itself."""
    name = variant.baseline or self.baseline
    return None if name == variant.name else name

  def config(self, variant: Variant, seed: int) -> ml_collections.ConfigDict:
    """The config of one training.

    Raises:
      ValueError, TypeError, ImportError: a field, pool or alpha that does not exist; the variant is named.
    """
    try:
      config = override_fields(variant.config, dict(variant.overrides))
      config.seed = seed
      return resolve_pooling(config)
    except (ValueError, TypeError, ImportError) as error:
      raise type(error)(f"variant {variant.name!r}: {error}") from error


def load_study(spec: str) -> Study:
  """The study of "FILE.py:key=value,...".

  Raises:
    FileNotFoundError: no such file.
    ImportError: the file raises when it is imported.
    ValueError, TypeError: arguments that it does not take; two variants of one name, a seed twice, an
      unknown baseline, a variant's name that is not a folder's name, a return value of another type.
  """
  file, _, arg = spec.partition(":")
  module = load_module(file, "--study", "configs/studies/scenes.py")
  if not hasattr(module, "get_study"):
    raise ValueError(f"--study: {file} has no function get_study")
  study = module.get_study(arg or None)
  _check(study, file)
  return study


def parse_seeds(text: str) -> list[int]:
  """The seeds of "0-4,100-104".

  Raises:
    ValueError: another form, or a seed twice.
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
  return _once(seeds, "--seeds")


def choose(study: Study, names: Sequence[str] | None) -> list[Variant]:
  """The variants of those names, all without names.

  Raises:
    ValueError: an unknown name, with the nearest.
  """
  known = [variant.name for variant in study.variants]
  for name in names or ():
    if name not in known:
      raise ValueError(f"--only: {unknown_name_message(name, known, 'variant')}")
  return [variant for variant in study.variants if not names or variant.name in names]


def study_files() -> list[pathlib.Path]:
  """The studies that are shipped."""
  folder = pathlib.Path(__file__).parents[2] / "configs" / "studies"
  return sorted(path for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _check(study: Study, file: str) -> None:
  if not isinstance(study, Study) or not all(isinstance(variant, Variant) for variant in study.variants):
    raise TypeError(f"{file}: expected get_study to return a Study of Variants, got {type(study).__name__}")
  names = [variant.name for variant in study.variants]
  if not names:
    raise ValueError(f"{file}: expected at least one variant")
  for variant in study.variants:
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
  for name in [study.baseline, *filter(None, (variant.baseline for variant in study.variants))]:
    if name not in names:
      raise ValueError(f"{file}: baseline: {unknown_name_message(name, names, 'variant')}")
  seeds = _once(study.seeds, f"{file}: seeds")
  for variant in study.variants:
    study.config(variant, seeds[0])


def _once(seeds: Sequence[int], what: str) -> list[int]:
  seeds = list(seeds)
  if not seeds:
    raise ValueError(f"{what}: expected at least one seed")
  for seed in seeds:
    if type(seed) is not int or seed < 0:
      raise ValueError(f"{what}: expected integers from 0, got {seed!r}")
    if seeds.count(seed) > 1:
      raise ValueError(f"{what}: expected each seed once, got {seed} twice")
  return seeds

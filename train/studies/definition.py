"""Defines a study: named variants, the baseline that each is compared with, and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import ml_collections

from train.experiment.overrides import override_fields
from train.experiment.pooling_config import resolve_pooling


class Variant(NamedTuple):
  """One experiment of a study, which is trained once for each seed.

  Attributes:
    name: a valid folder name, unique in the study.
    config: the training config, as returned by a config file's get_config.
    overrides: fields with other values, such as {"schedule.learning_rate": 1e-3}.
    baseline: name of the variant that this one is compared with, seed by seed; None: the study's baseline.
    title: name in tables and figures; None: `name`.
  """

  name: str
  config: ml_collections.ConfigDict
  overrides: Mapping[str, Any] = {}
  baseline: str | None = None
  title: str | None = None


class Study(NamedTuple):
  """A study, as returned by `get_study` of a study file.

  Attributes:
    name: name of the study; a folder holds the runs of one study only.
    variants: at least one variant.
    baseline: name of the variant that the others are compared with.
    seeds: seeds of initial parameters, data order and augmentation.
    title: title of the report.
    boundary: width of the band of Boundary IoU as a fraction of the image's diagonal.
  """

  name: str
  variants: Sequence[Variant]
  baseline: str
  seeds: Sequence[int]
  title: str = ""
  boundary: float = 0.02

  def baseline_name(self, variant: Variant) -> str | None:
    """The name of the variant that `variant` is compared with; None if `variant` is a baseline itself."""
    name = variant.baseline or self.baseline
    return None if name == variant.name else name

  def resolve_config(self, variant: Variant, seed: int) -> ml_collections.ConfigDict:
    """The config of one run: the variant's config with its overrides, the seed and resolved pooling.

    Raises:
      ValueError, TypeError, ImportError: a field, pool or alpha source does not exist; the message names the
        variant.
    """
    try:
      config = override_fields(variant.config, dict(variant.overrides))
      config.seed = seed
      return resolve_pooling(config)
    except (ValueError, TypeError, ImportError) as error:
      raise type(error)(f"variant {variant.name!r}: {error}") from error

"""Titles of runs in figures: their pooling, and their workdir or step where that is the same."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ppool_jax.layers import alpha_keywords, pool_keywords
from train.experiment.pooling_config import PUBLISHED, resolve_pooling

_ALPHA = "\N{GREEK SMALL LETTER ALPHA}"
_POOLS = {
  "max": "max pooling",
  "avg": "average pooling",
  "lp": "Lp pooling",
  "soft": "SoftPool",
  "mixed": "mixed pooling",
  "gated": "gated pooling",
  "dpp": "DPP",
  "strided": "Strided-C",
  "allconv": "All-C",
  "ppool": "P-pooling",
  PUBLISHED: "published poolings",
}
_SOURCES = {
  "authors": "the authors' last code",
  "channel": f"{_ALPHA} per channel",
  "layer": f"{_ALPHA} per layer",
}


def pool_title(config) -> str:
  """Describes a config's pooling: name, alpha, keywords other than the defaults, and stages if not all."""
  config = resolve_pooling(config)
  defaults = {} if config.pool == PUBLISHED else pool_keywords(config.pool)
  details = _format_keywords(config.pool_kwargs.items(), defaults)
  if config.alpha:
    keywords = config.alpha.to_dict()
    name = keywords.pop("name")
    details = [*_describe_alpha(name, keywords), *details]
  if config.pool_stages:
    names = ", ".join(stage.replace(":", " ", 1) for stage in config.pool_stages)
    rest = f", {config.pool_rest} elsewhere" if config.pool_rest != "max" else ""
    details = [*details, f"in {names}{rest}"]
  return ", ".join([_POOLS.get(config.pool, config.pool), *details])


def distinct_titles(configs: Sequence, workdirs: Sequence[pathlib.Path], steps: Sequence[int]) -> list[str]:
  """`pool_title` of each config; equal titles are followed by the workdir or the step."""
  titles = [pool_title(config) for config in configs]
  for suffixes in (workdir_names(workdirs), (f"step {step}" for step in steps)):
    if len(set(titles)) == len(titles):
      break
    titles = [f"{pool_title(config)} ({suffix})" for config, suffix in zip(configs, suffixes, strict=True)]
  return titles


def workdir_names(workdirs: Sequence[pathlib.Path]) -> list[str]:
  """The shortest distinct ends of the paths: "seed-0", or "max/seed-0" if several folders are called seed-0.

  All names have the same number of folders. A path that is given twice has the same name twice.
  """
  parts = [pathlib.Path(os.path.abspath(workdir)).parts for workdir in workdirs]
  for count in range(1, max(map(len, parts)) + 1):
    names = {path: str(pathlib.PurePath(*path[-count:])) for path in parts}
    if len(set(names.values())) == len(names):
      break
  return [names[path] for path in parts]


def _describe_alpha(name: str, keywords: Mapping) -> list[str]:
  if name == "constant":
    return [f"{_ALPHA} = {keywords['value']:g}"]
  source = [] if name == "side_branch" else [_SOURCES.get(name, name.replace("_", " "))]
  return [*source, *_format_keywords(keywords.items(), alpha_keywords(name))]


def _format_keywords(keywords: Iterable[tuple[str, Any]], defaults: Mapping) -> list[str]:
  """The keywords that differ from the defaults, as "initial = 2.5"."""
  return [
    f"{key.replace('_', ' ')} = {f'{value:g}' if isinstance(value, float) else value}"
    for key, value in keywords
    if defaults.get(key) != value
  ]

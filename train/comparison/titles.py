"""What a run is called in a figure."""

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
  """The pooling of a config: name, alpha, keywords that are not the defaults, stages if not all."""
  config = resolve_pooling(config)
  known = {} if config.pool == PUBLISHED else pool_keywords(config.pool)
  details = _details(config.pool_kwargs.items(), known)
  if config.alpha:
    keywords = config.alpha.to_dict()
    name = keywords.pop("name")
    details = [*_alpha_details(name, keywords), *details]
  where = []
  if config.pool_stages:
    names = [stage.replace(":", " ", 1) for stage in config.pool_stages]
    where = [
      f"in {', '.join(names)}" + (f", {config.pool_rest} elsewhere" if config.pool_rest != "max" else "")
    ]
  return ", ".join([_POOLS.get(config.pool, config.pool), *details, *where])


def distinct_titles(configs: Sequence, workdirs: Sequence[pathlib.Path], steps: Sequence[int]) -> list[str]:
  """`pool_title` of each; where they are all the same with what tells them apart: the workdir or the step."""
  titles = [pool_title(config) for config in configs]
  for marks in (workdir_names(workdirs), (f"step {step}" for step in steps)):
    if len(set(titles)) == len(titles):
      break
    titles = [f"{pool_title(config)} ({mark})" for config, mark in zip(configs, marks, strict=True)]
  return titles


def workdir_names(workdirs: Sequence[pathlib.Path]) -> list[str]:
  """The shortest ends of the paths that differ: "seed-0", or "max/seed-0" where several are called seed-0.

  All have as many folders as the longest needs; one path given twice has the same name twice.
  """
  parts = [pathlib.Path(os.path.abspath(workdir)).parts for workdir in workdirs]
  for count in range(1, max(map(len, parts)) + 1):
    names = {path: str(pathlib.PurePath(*path[-count:])) for path in parts}
    if len(set(names.values())) == len(names):
      break
  return [names[path] for path in parts]


def _alpha_details(name: str, keywords: Mapping) -> list[str]:
  if name == "constant":
    return [f"{_ALPHA} = {keywords['value']:g}"]
  source = [] if name == "side_branch" else [_SOURCES.get(name, name.replace("_", " "))]
  return [*source, *_details(keywords.items(), alpha_keywords(name))]


def _details(keywords: Iterable[tuple[str, Any]], defaults: Mapping) -> list[str]:
  """The keywords that are not the defaults."""
  return [
    f"{key.replace('_', ' ')} = {value:g}"
    if isinstance(value, float)
    else f"{key.replace('_', ' ')} = {value}"
    for key, value in keywords
    if defaults.get(key) != value
  ]

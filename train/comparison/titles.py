"""What a run is called in a figure."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

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
}
_SOURCES = {"channel": f"{_ALPHA} per channel", "layer": f"{_ALPHA} per layer"}


def pool_title(config) -> str:
  """The pooling of a config: its name, alpha and other keywords, and its stages if not all."""
  details = [_detail(key, value) for key, value in config.pool_kwargs.items()]
  where = [f"in {', '.join(config.stages)}"] if config.stages else []
  return ", ".join([_POOLS.get(config.pool, config.pool), *details, *where])


def distinct_titles(configs: Sequence, workdirs: Sequence[pathlib.Path], steps: Sequence[int]) -> list[str]:
  """`pool_title` of each; where they are all the same with what tells them apart: the workdir or the step."""
  titles = [pool_title(config) for config in configs]
  for marks in ((w.name for w in workdirs), map(str, workdirs), (f"step {step}" for step in steps)):
    if len(set(titles)) == len(titles):
      break
    titles = [f"{pool_title(config)} ({mark})" for config, mark in zip(configs, marks, strict=True)]
  return titles


def _detail(key: str, value) -> str:
  if key == "alpha" and isinstance(value, (list, tuple)):
    return ", ".join([_detail(key, value[0]), *(_detail(*item) for item in value[1].items())])
  if key == "alpha" and isinstance(value, str):
    return _SOURCES.get(value, value.replace("_", " "))
  if isinstance(value, Mapping):
    return ", ".join(_detail(*item) for item in value.items())
  number = f"{value:g}" if isinstance(value, float) else str(value)
  return f"{_ALPHA if key == 'alpha' else key} = {number}"

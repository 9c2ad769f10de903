"""Resolves the pools and alpha sources that a config names to factories of layers.

A network's `pool` is a name, a `(name, kwargs)` pair, a factory `(window_shape, strides, padding,
name) -> module`, or a dict from stage names to one of these, with "default" for the other stages. The
`alpha` of "ppool" is a number, a factory, a name or a `(name, kwargs)` pair. A name is one of `POOLS` or
`ALPHAS`, or "module:object" for a class of the user's; it may have keywords: "gated(per=channel)".
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, cast

import flax.linen as nn

from ppool_jax.layers.alpha import Constant, Learned, SideBranch
from ppool_jax.layers.baselines import (
  AllConvPool,
  AvgPool,
  DetailPreservingPool,
  GatedPool,
  LpPool,
  MaxPool,
  MixedPool,
  SoftPool,
  StridedPool,
)
from ppool_jax.layers.keywords import check_keywords, keywords_of
from ppool_jax.layers.polynomial import PolynomialPool
from ppool_jax.layers.range_maps import RANGES, Clip, Exponential
from ppool_jax.layers.spec import import_object, is_importable, parse_spec
from ppool_jax.utils.lookup import did_you_mean, lookup

POOLS: dict[str, type[nn.Module]] = {
  "max": MaxPool,
  "avg": AvgPool,
  "lp": LpPool,
  "soft": SoftPool,
  "mixed": MixedPool,
  "gated": GatedPool,
  "dpp": DetailPreservingPool,
  "strided": StridedPool,
  "allconv": AllConvPool,
  "ppool": PolynomialPool,
}

ALPHAS: dict[str, Callable[..., nn.Module]] = {
  # The paper's: alpha itself is predicted, from 20 on, and capped at 35.
  "side_branch": SideBranch,
  # The authors' final code (kfxw/mydev-pytorch-semantic-segmentation, lib/ppooling).
  "authors": functools.partial(
    SideBranch,
    initial=70.0,
    range_map=Clip(cap=110.0, least=1.0),
    input_scale=1.0,
    normalize=True,
    detach=True,
    pointwise_stddev=2**0.5,
    gradient_scale=3.0,
  ),
  # log alpha is predicted, from alpha = 3 on, where the output still responds to alpha.
  "log_side_branch": functools.partial(
    SideBranch, initial=3.0, range_map=Exponential(), input_scale=1.0, normalize=True
  ),
  # log alpha is a parameter, one for each channel or one for the layer.
  "channel": functools.partial(Learned, initial=3.0, per="channel", range_map=Exponential()),
  "layer": functools.partial(Learned, initial=3.0, per="layer", range_map=Exponential()),
  "constant": Constant,
}


def pool_factory(pool: Any, stage: str | None = None) -> Callable[..., nn.Module]:
  """The factory of the pooling layer at `stage`.

  Args:
    pool: a name, `(name, kwargs)`, a factory, or a dict from stage names to these; see
      `ppool_jax/layers/registry.py`.
    stage: the stage's name, such as "pool3". It is needed if `pool` is a dict.

  Returns:
    A callable with keywords window_shape, strides, padding and name that returns a module.

  Raises:
    TypeError, ValueError, ImportError: an unknown name, keyword or stage; the message lists the known ones.
  """
  if isinstance(pool, Mapping):
    if stage not in pool and "default" not in pool:
      raise ValueError(f'pool: no entry for stage {stage!r} and no "default" in {sorted(pool)}')
    return pool_factory(pool.get(stage, pool.get("default")))
  if isinstance(pool, str) or (isinstance(pool, tuple | list) and pool and isinstance(pool[0], str)):
    name, kwargs = name_and_keywords(pool, "pool")
    factory = _lookup("pool", name, POOLS)
    check_keywords("pool", name, kwargs, pool_keywords(name))
    if factory is PolynomialPool and isinstance(kwargs.get("alpha"), str | tuple | list):
      kwargs["alpha"] = alpha_factory(kwargs["alpha"])
    return functools.partial(factory, **kwargs)
  if callable(pool) and not isinstance(pool, nn.Module):
    return cast(Callable[..., nn.Module], pool)
  raise TypeError(f"pool: expected a name, (name, kwargs), a factory or a dict of stages, got {pool!r}")


def alpha_factory(alpha: str | tuple[str, Mapping]) -> Callable[..., nn.Module]:
  """The factory of the alpha source that a name, or `(name, kwargs)`, stands for.

  In addition to the source's own keywords, `range` is a name of `RANGES`, and the keywords of that range map
  are accepted: `("side_branch", {"initial": 40, "range": "clip", "cap": 90})`. Without `range` they change
  the source's default range map.

  Raises:
    ValueError, TypeError, ImportError: an unknown name or keyword; the message lists the known ones.
  """
  name, kwargs = name_and_keywords(alpha, "alpha")
  source = _lookup("alpha", name, ALPHAS)
  range_map, of_range = _range_map(source, kwargs)
  check_keywords("alpha", name, kwargs, alpha_keywords(name, kwargs))
  kwargs = {key: value for key, value in kwargs.items() if key != "range" and key not in of_range}
  if range_map is not None:
    kwargs["range_map"] = range_map
  return functools.partial(source, **kwargs)


def pool_keywords(name: str) -> dict[str, Any]:
  """The keywords of the pool with their defaults, or `REQUIRED`; `alpha` of "ppool" is a factory."""
  return keywords_of(_lookup("pool", name, POOLS))


def alpha_keywords(name: str, kwargs: Mapping | None = None) -> dict[str, Any]:
  """The keywords of the alpha source in a config with their defaults, or `REQUIRED`.

  They include `range` and the keywords of that range map.

  Args:
    name: the source's name.
    kwargs: keywords that are set; the range map's keywords depend on `range`.
  """
  source = _lookup("alpha", name, ALPHAS)
  keywords = keywords_of(source)
  range_map, _ = _range_map(source, {key: value for key, value in (kwargs or {}).items() if key == "range"})
  names = {cls: text for text, cls in RANGES.items()}
  if type(range_map) in names:
    del keywords["range_map"]
    keywords |= {"range": names[type(range_map)], **dataclasses.asdict(range_map)}
  return keywords


def name_and_keywords(spec: str | tuple | list, what: str) -> tuple[str, dict[str, Any]]:
  """The name and all keywords of "name", "name(key=value)", `(name,)` or `(name, kwargs)`.

  Args:
    spec: one of these forms.
    what: the argument that `spec` was given for, for the message.

  Raises:
    ValueError, TypeError: `spec` has another form.
  """
  if not isinstance(spec, str) and len(spec) not in (1, 2):
    raise TypeError(f"{what}: expected a name or (name, kwargs), got {spec!r}")
  text, kwargs = (spec, {}) if isinstance(spec, str) else (*spec, {})[:2]
  if not isinstance(text, str) or not isinstance(kwargs, Mapping):
    raise TypeError(f"{what}: expected a name or (name, kwargs), got {spec!r}")
  name, more = parse_spec(text, what)
  return name, {**more, **kwargs}


def _range_map(source: Callable, kwargs: Mapping) -> tuple[Any, tuple[str, ...]]:
  """The range map that a source's keywords select (None if it has none), and that range map's keywords."""
  default = keywords_of(source).get("range_map")
  range_map: Any = kwargs.get("range_map", default)
  if "range" in kwargs and default is not None:
    cls = lookup(kwargs["range"], RANGES, "alpha: range")
    range_map = range_map if isinstance(range_map, cls) else cls()
  if type(range_map) not in RANGES.values():
    return range_map, ()
  of_range = tuple(field.name for field in dataclasses.fields(range_map))
  changes = {key: kwargs[key] for key in of_range if key in kwargs}
  return dataclasses.replace(range_map, **changes), of_range


def _lookup(what: str, name: str, table: Mapping[str, Callable]) -> Callable[..., nn.Module]:
  if name in table:
    return table[name]
  if not is_importable(name):
    known = f"one of {', '.join(table)}, or module:object"
    raise ValueError(f"{what}: expected {known}, got {name!r}{did_you_mean(name, table)}")
  factory = import_object(name, what)
  if not callable(factory) or isinstance(factory, nn.Module):
    raise TypeError(f"{what}: {name!r}: expected a Module class or another factory, got {factory!r}")
  return cast(Callable[..., nn.Module], factory)

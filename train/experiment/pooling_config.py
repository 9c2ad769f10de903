"""What a config says of pooling: the fields pool, pool_kwargs, pool_stages, pool_rest and alpha."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import ml_collections

from ppool_jax.layers import (
  POOLS,
  alpha_factory,
  alpha_keywords,
  name_and_keywords,
  pool_factory,
  pool_keywords,
)
from ppool_jax.layers.spec import is_importable, literal
from ppool_jax.models.pool_slots import PUBLISHED
from ppool_jax.utils.lookup import did_you_mean


def resolve_pooling(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """A copy of the config with all keywords of its pool and its alpha source, so that config.json has them.

  `pool` and `alpha` may be specs such as "gated(per=channel)" or 2.5. After this `pool` is a name,
  `pool_kwargs` its keywords, and `alpha` has "name" and the source's keywords, or is empty where no pool is
  P-pooling. (P-pooling's `shift` is written only where it is set: a network may have its own default.)

  Raises:
    ValueError, TypeError, ImportError: a name or keyword that does not exist, with the ones that do.
  """
  config = ml_collections.ConfigDict(config.to_dict())
  name, more = name_and_keywords(config.pool, "pool")
  if name != PUBLISHED and name not in POOLS and not is_importable(name):
    known = (*POOLS, PUBLISHED)
    hint = did_you_mean(name, known)
    raise ValueError(f"pool: expected one of {', '.join(known)}, or module:object, got {name!r}{hint}")
  keywords = {**more, **config.pool_kwargs}
  alpha = keywords.pop("alpha", config.alpha)
  if name == PUBLISHED and keywords:
    raise TypeError(f"pool_kwargs: {PUBLISHED!r} takes no options, got {next(iter(keywords))!r}")
  if name != PUBLISHED:
    pool_factory((name, keywords))
    defaults = pool_keywords(name)
    if name == "ppool":
      del defaults["alpha"], defaults["shift"]
    keywords = _complete(keywords, defaults)
  config.pool, config.pool_kwargs = name, ml_collections.ConfigDict(keywords)
  config.pool_stages = tuple(config.pool_stages)
  del config["alpha"]
  alpha = _resolve_alpha(alpha)  # a wrong one is refused also where no pool takes it
  config.alpha = ml_collections.ConfigDict(alpha if _takes_alpha(config) else {})
  _check_pool(config.pool_rest, "pool_rest")
  return config


def pool_of(config):
  """What `ppool_jax.models.build` takes as its pool, of a config with or without its defaults written out.

  Every stage has `config.pool`; where `config.pool_stages` has entries, "pool1" or
  "pool1:gated(per=channel)", only these stages have it, or the pool that the entry names, and the others
  have `config.pool_rest`.
  """
  config = resolve_pooling(config)
  if not config.pool_stages:
    return _with_keywords(config, config.pool)
  stages = {}
  for entry in config.pool_stages:
    stage, colon, pool = entry.partition(":")
    if stage in stages or (colon and not pool):
      problem = "twice" if pool or not colon else "without a pool"
      raise ValueError(
        f"pool_stages: expected each stage once, as STAGE or STAGE:POOL, got {stage!r} {problem}"
      )
    stages[stage] = _with_keywords(config, pool or config.pool)
  return {"default": _with_keywords(config, config.pool_rest), **stages}


def _with_keywords(config, spec: str):
  """A name or (name, keywords): those of the config for its own pool, its alpha for every P-pooling."""
  name, keywords = name_and_keywords(spec, "pool_stages")
  if name == PUBLISHED:
    return PUBLISHED
  if name == config.pool:
    keywords = {**config.pool_kwargs, **keywords}
  if name == "ppool" and "alpha" not in keywords:
    source = config.alpha.to_dict()
    keywords["alpha"] = (source.pop("name"), source)
  pool_factory((name, keywords))
  return name, keywords


def _check_pool(spec: str, what: str) -> None:
  name, keywords = name_and_keywords(spec, what)
  if name != PUBLISHED:
    pool_factory((name, keywords))


def _takes_alpha(config) -> bool:
  entries = [entry.partition(":")[2] or config.pool for entry in config.pool_stages] or [config.pool]
  rest = [config.pool_rest] if config.pool_stages else []
  return "ppool" in [name_and_keywords(spec, "pool_stages")[0] for spec in (*entries, *rest)]


def alpha_fields(alpha) -> dict[str, Any]:
  """{"name": ..., and the keywords given} of a number, a spec, (name, keywords) or such fields.

  Raises:
    ValueError, TypeError: it has another form.
  """
  if isinstance(alpha, Mapping | ml_collections.ConfigDict):
    keywords = dict(alpha)
    if "name" not in keywords:
      keywords["name"] = "side_branch"  # of a config that was written out without P-pooling
    alpha = (keywords.pop("name"), keywords)
  spec, given = (alpha, {}) if isinstance(alpha, str | int | float) else (*alpha, {})[:2]
  number = literal(spec) if isinstance(spec, str) else spec
  if isinstance(number, int | float) and not isinstance(number, bool):
    spec, given = "constant", {"value": float(number), **given}
  name, keywords = name_and_keywords((spec, given), "alpha")
  return {"name": name, **keywords}


def _resolve_alpha(alpha) -> dict[str, Any]:
  """`alpha_fields`, and the defaults of all other keywords."""
  keywords = alpha_fields(alpha)
  name = keywords.pop("name")
  alpha_factory((name, keywords))
  return {"name": name, **_complete(keywords, alpha_keywords(name, keywords))}


def _complete(keywords: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
  """Keywords and, of the other defaults, those that JSON can hold; an integer for a float becomes one."""

  def is_plain(value) -> bool:
    try:
      json.dumps(value)
    except TypeError:
      return False
    return True

  complete = {**{key: value for key, value in defaults.items() if is_plain(value)}, **keywords}
  floats = {key for key, value in defaults.items() if isinstance(value, float)}
  return {
    key: float(value) if key in floats and type(value) is int else value for key, value in complete.items()
  }

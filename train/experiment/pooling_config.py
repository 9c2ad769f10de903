"""Resolves the pooling fields of a config: pool, pool_kwargs, pool_stages, pool_rest and alpha."""

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
  """A copy of the config with all keywords of its pool and alpha source, defaults included.

  `pool` and `alpha` may be specs such as "gated(per=channel)" or 2.5. In the result `pool` is a name,
  `pool_kwargs` holds its keywords, and `alpha` holds "name" and the keywords of the source. `alpha` is empty
  if no pool is P-pooling. P-pooling's `shift` is included only if it is set, because a network may have its
  own default.

  Raises:
    ValueError: a name does not exist; the message lists the existing ones.
    TypeError: a keyword does not exist; the message lists the existing ones.
    ImportError: a "module:Class" cannot be imported.
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
    keywords = _fill_defaults(keywords, defaults)
  config.pool, config.pool_kwargs = name, ml_collections.ConfigDict(keywords)
  config.pool_stages = tuple(config.pool_stages)
  del config["alpha"]
  alpha = _resolve_alpha(alpha)  # also validates a source that no pool uses
  config.alpha = ml_collections.ConfigDict(alpha if _uses_ppool(config) else {})
  _validate_pool(config.pool_rest, "pool_rest")
  return config


def build_pool_spec(config):
  """Builds the argument `pool` of `ppool_jax.models.build` from a config, resolved or not.

  Without entries in `config.pool_stages` every stage has `config.pool`. With entries, a stage "pool1" has
  `config.pool`, a stage "pool1:gated(per=channel)" has the named pool, and all other stages have
  `config.pool_rest`.

  Raises:
    ValueError: an entry names a stage twice or has an empty pool.
    ValueError, TypeError, ImportError: as `resolve_pooling`.
  """
  config = resolve_pooling(config)
  if not config.pool_stages:
    return _resolve_stage_pool(config, config.pool)
  stages = {}
  for entry in config.pool_stages:
    stage, colon, pool = entry.partition(":")
    if stage in stages or (colon and not pool):
      problem = "twice" if pool or not colon else "without a pool"
      raise ValueError(
        f"pool_stages: expected each stage once, as STAGE or STAGE:POOL, got {stage!r} {problem}"
      )
    stages[stage] = _resolve_stage_pool(config, pool or config.pool)
  return {"default": _resolve_stage_pool(config, config.pool_rest), **stages}


def _resolve_stage_pool(config, spec: str):
  """Resolves one stage's pool: `config.pool` has `config.pool_kwargs`, each P-pooling has `config.alpha`."""
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


def _validate_pool(spec: str, what: str) -> None:
  name, keywords = name_and_keywords(spec, what)
  if name != PUBLISHED:
    pool_factory((name, keywords))


def _uses_ppool(config) -> bool:
  """Whether any stage has P-pooling."""
  entries = [entry.partition(":")[2] or config.pool for entry in config.pool_stages] or [config.pool]
  rest = [config.pool_rest] if config.pool_stages else []
  return "ppool" in [name_and_keywords(spec, "pool_stages")[0] for spec in (*entries, *rest)]


def parse_alpha(alpha) -> dict[str, Any]:
  """Parses an alpha source into {"name": ..., and its given keywords}.

  Args:
    alpha: a number, a spec such as "side_branch(initial=40)", (name, keywords) or a result of this function.

  Raises:
    ValueError, TypeError: `alpha` has another form.
  """
  if isinstance(alpha, Mapping | ml_collections.ConfigDict):
    keywords = dict(alpha)
    if "name" not in keywords:
      keywords["name"] = "side_branch"  # `resolve_pooling` empties alpha without P-pooling
    alpha = (keywords.pop("name"), keywords)
  spec, given = (alpha, {}) if isinstance(alpha, str | int | float) else (*alpha, {})[:2]
  number = literal(spec) if isinstance(spec, str) else spec
  if isinstance(number, int | float) and not isinstance(number, bool):
    spec, given = "constant", {"value": float(number), **given}
  name, keywords = name_and_keywords((spec, given), "alpha")
  return {"name": name, **keywords}


def _resolve_alpha(alpha) -> dict[str, Any]:
  """Parses an alpha source, validates it and fills in the defaults of its keywords."""
  keywords = parse_alpha(alpha)
  name = keywords.pop("name")
  alpha_factory((name, keywords))
  return {"name": name, **_fill_defaults(keywords, alpha_keywords(name, keywords))}


def _fill_defaults(keywords: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
  """Adds the defaults that JSON can store; an integer becomes a float where the default is one."""

  def is_serializable(value) -> bool:
    try:
      json.dumps(value)
    except TypeError:
      return False
    return True

  complete = {**{key: value for key, value in defaults.items() if is_serializable(value)}, **keywords}
  floats = {key for key, value in defaults.items() if isinstance(value, float)}
  return {
    key: float(value) if key in floats and type(value) is int else value for key, value in complete.items()
  }

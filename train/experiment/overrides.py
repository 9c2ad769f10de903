"""--config=FILE.py:arguments and --config.FIELD=VALUE on a command line."""

from __future__ import annotations

import re
from typing import Any

import ml_collections

from ppool_jax.layers.spec import literal, split
from train.experiment.pooling_config import alpha_fields, resolve_pooling
from train.utils.config import load, unknown

_OPEN = ("pool_kwargs", "alpha", "model.options", "data.options", "optimizer.groups")
_SPECS = ("pool", "alpha", "pool_stages")
_NEW_GROUP = {"lr": 1.0, "decay": 1.0, "optimizer": "sgd", "precedence": 1}
_INDEXED = re.compile(r"(\w+)\[(\d+)\]")


def config_of(arguments: list[str]) -> tuple[ml_collections.ConfigDict, list[str]]:
  """The config that the arguments ask for, with the defaults of its pooling, and the other arguments.

  Raises:
    FileNotFoundError: no such config file.
    ValueError, TypeError, ImportError: no --config; a field that the config does not have, with the nearest
      one's name; a value of another type.
  """
  words, rest, path, fields = list(arguments), [], "", {}
  while words:
    flag, equals, value = (word := words.pop(0)).partition("=")
    name = flag.lstrip("-")
    if not flag.startswith("-") or (name != "config" and not name.startswith("config.")):
      rest.append(word)
      continue
    if not equals and (not words or words[0].startswith("--")):
      value = "True"  # a flag alone
    elif not equals:
      value = words.pop(0)
    if name == "config":
      path = value
    else:
      fields[name.removeprefix("config.")] = literal(value)
  if not path:
    raise ValueError("expected --config=FILE.py:key=value,... ; --help has the rest")
  return resolve_pooling(set_fields(load(path), fields)), rest


def only_config_of(arguments: list[str]) -> ml_collections.ConfigDict:
  """The config that the arguments ask for, where they may not say anything else.

  Raises:
    FileNotFoundError, ValueError, TypeError, ImportError: as `config_of`, or a further argument.
  """
  config, rest = config_of(arguments)
  if rest:
    what = "unknown flag" if rest[0].startswith("-") else "expected flags only, got"
    raise ValueError(f"{what} {rest[0]!r}; --help has them all")
  return config


def set_fields(config: ml_collections.ConfigDict, fields: dict[str, Any]) -> ml_collections.ConfigDict:
  """A copy of the config with fields set, "schedule.learning_rate" or "data.crop[0]".

  The keywords of pools, alpha sources, networks and data sets need not be in the config; a wrong keyword is
  refused when the network or data set is built. A parameter group that is not there is added, and takes its
  parameters from the other groups.

  Raises:
    ValueError: any other field that the config does not have.
    TypeError: a value of another type than the field's.
  """
  config = ml_collections.ConfigDict(config.to_dict())
  for name, value in fields.items():
    *path, last = name.split(".")
    node = config
    for depth, key in enumerate(path):
      at = ".".join(path[: depth + 1])
      if key not in node and _is_open(at):
        node[key] = ml_collections.ConfigDict(_NEW_GROUP if at.startswith("optimizer.groups.") else {})
      node = _child(node, key, at)
    _set(node, last, value, name)
  for name, group in config.optimizer.groups.items():
    if "pattern" not in group:
      known = [key for key in config.optimizer.groups if key != name]
      hint = unknown(name, known, "group").removeprefix("unknown group ")
      raise ValueError(f"--config.optimizer.groups.{name}: a new group expects a pattern; {hint}")
  return config


def _is_open(name: str) -> bool:
  return any(name.startswith(f"{group}.") for group in _OPEN)


def _child(node: ml_collections.ConfigDict, key: str, name: str) -> Any:
  """A field of a node; refused with the nearest name where there is none."""
  if not isinstance(node, ml_collections.ConfigDict) or key not in node:
    known = node.keys() if isinstance(node, ml_collections.ConfigDict) else ()
    raise ValueError(f"--config.{name}: {unknown(key, known)}")
  return node[key]


def _set(node: ml_collections.ConfigDict, key: str, value: Any, name: str) -> None:
  if name in _SPECS:
    if name == "alpha":
      value = ml_collections.ConfigDict(alpha_fields(value))
    elif name == "pool_stages" and isinstance(value, str):
      value = tuple(split(value, "+"))
    del node[key]  # the new value may have another type
    node[key] = value
    return
  if indexed := _INDEXED.fullmatch(key):
    key, index = indexed[1], int(indexed[2])
    elements = list(_child(node, key, name))
    if index >= len(elements):
      raise ValueError(f"--config.{name}: expected an index below {len(elements)}, got {index}")
    elements[index] = _of_type(elements[index], value, name)
    value = tuple(elements)
  if _is_open(name) and isinstance(node, ml_collections.ConfigDict) and key not in node:
    node[key] = value
    return
  old = _child(node, key, name)
  if isinstance(old, ml_collections.ConfigDict):
    raise ValueError(f"--config.{name}: expected one of its fields, {', '.join(old) or 'such as x'}=VALUE")
  node[key] = _of_type(old, value, name)


def _of_type(old: Any, value: Any, name: str) -> Any:
  """The value as the type of the one before, where it is one."""
  if isinstance(old, str) and isinstance(value, int | float):
    value = str(value)
  kinds = {int: int, float: (int, float), str: str, bool: bool, tuple: (tuple, list)}
  kind = kinds.get(type(old), object)
  if not isinstance(value, kind) or (
    isinstance(value, bool) and not isinstance(old, bool) and kind is not object
  ):
    raise TypeError(f"--config.{name}: expected {type(old).__name__}, got {value!r}")
  return float(value) if isinstance(old, float) else tuple(value) if isinstance(old, tuple) else value

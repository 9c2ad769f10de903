"""Parses --config=FILE.py:arguments and --config.FIELD=VALUE from a command line."""

from __future__ import annotations

import re
from typing import Any

import ml_collections

from ppool_jax.layers.spec import literal, split
from train.experiment.pooling_config import parse_alpha, resolve_pooling
from train.utils.config import load_config, unknown_name_message

_EXTENSIBLE = ("pool_kwargs", "alpha", "model.options", "data.options", "optimizer.groups")
_SPECS = ("pool", "alpha", "pool_stages")
_NEW_GROUP = {"lr": 1.0, "decay": 1.0, "optimizer": "sgd", "precedence": 1}
_INDEXED = re.compile(r"(\w+)\[(\d+)\]")


def parse_config(arguments: list[str]) -> tuple[ml_collections.ConfigDict, list[str]]:
  """Parses the config flags of a command line.

  Returns:
    (the config with resolved pooling, the arguments that are no config flags).

  Raises:
    FileNotFoundError: the config file does not exist.
    ImportError: importing the config file, a pool or an alpha source raises an error.
    ValueError: there is no --config, or the config has no such field (the message suggests the closest).
    TypeError: a value has another type than its field.
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
  return resolve_pooling(override_fields(load_config(path), fields)), rest


def parse_config_only(arguments: list[str]) -> ml_collections.ConfigDict:
  """Parses a command line that consists of config flags only.

  Raises:
    ValueError: there is another argument.
    FileNotFoundError, ValueError, TypeError, ImportError: as `parse_config`.
  """
  config, rest = parse_config(arguments)
  if rest:
    problem = "unknown flag" if rest[0].startswith("-") else "expected flags only, got"
    raise ValueError(f"{problem} {rest[0]!r}; --help has them all")
  return config


def override_fields(config: ml_collections.ConfigDict, fields: dict[str, Any]) -> ml_collections.ConfigDict:
  """A copy of the config with new values of fields, such as "schedule.learning_rate" or "data.crop[0]".

  Keywords of pools, alpha sources, networks and data sets need not exist in the config; building the network
  or the data set refuses wrong ones. A parameter group that does not exist is added and takes its parameters
  from the other groups.

  Args:
    fields: values by the dotted name of their field.

  Raises:
    ValueError: any other field does not exist in the config.
    TypeError: a value has another type than its field.
  """
  config = ml_collections.ConfigDict(config.to_dict())
  for name, value in fields.items():
    *path, last = name.split(".")
    node = config
    for depth, key in enumerate(path):
      at = ".".join(path[: depth + 1])
      if key not in node and _is_extensible(at):
        node[key] = ml_collections.ConfigDict(_NEW_GROUP if at.startswith("optimizer.groups.") else {})
      node = _get_field(node, key, at)
    _set_field(node, last, value, name)
  for name, group in config.optimizer.groups.items():
    if "pattern" not in group:
      known = [key for key in config.optimizer.groups if key != name]
      hint = unknown_name_message(name, known, "group").removeprefix("unknown group ")
      raise ValueError(f"--config.optimizer.groups.{name}: a new group expects a pattern; {hint}")
  return config


def _is_extensible(name: str) -> bool:
  return any(name.startswith(f"{group}.") for group in _EXTENSIBLE)


def _get_field(node: ml_collections.ConfigDict, key: str, name: str) -> Any:
  """The field `key` of a node.

  Raises:
    ValueError: there is no such field; the message suggests the closest.
  """
  if not isinstance(node, ml_collections.ConfigDict) or key not in node:
    known = node.keys() if isinstance(node, ml_collections.ConfigDict) else ()
    raise ValueError(f"--config.{name}: {unknown_name_message(key, known)}")
  return node[key]


def _set_field(node: ml_collections.ConfigDict, key: str, value: Any, name: str) -> None:
  if name in _SPECS:
    if name == "alpha":
      value = ml_collections.ConfigDict(parse_alpha(value))
    elif name == "pool_stages" and isinstance(value, str):
      value = tuple(split(value, "+"))
    del node[key]  # the new value may have another type
    node[key] = value
    return
  if indexed := _INDEXED.fullmatch(key):
    key, index = indexed[1], int(indexed[2])
    elements = list(_get_field(node, key, name))
    if index >= len(elements):
      raise ValueError(f"--config.{name}: expected an index below {len(elements)}, got {index}")
    elements[index] = _cast_like(elements[index], value, name)
    value = tuple(elements)
  if _is_extensible(name) and isinstance(node, ml_collections.ConfigDict) and key not in node:
    node[key] = value
    return
  old = _get_field(node, key, name)
  if isinstance(old, ml_collections.ConfigDict):
    raise ValueError(f"--config.{name}: expected one of its fields, {', '.join(old) or 'such as x'}=VALUE")
  node[key] = _cast_like(old, value, name)


def _cast_like(old: Any, value: Any, name: str) -> Any:
  """Casts the value to the type of the old value.

  Raises:
    TypeError: the value cannot be cast without loss.
  """
  if isinstance(old, str) and isinstance(value, int | float):
    value = str(value)
  kinds: dict[type, Any] = {int: int, float: (int, float), str: str, bool: bool, tuple: (tuple, list)}
  kind = kinds.get(type(old), object)
  if not isinstance(value, kind) or (
    isinstance(value, bool) and not isinstance(old, bool) and kind is not object
  ):
    raise TypeError(f"--config.{name}: expected {type(old).__name__}, got {value!r}")
  casts: dict[type, Any] = {float: float, tuple: tuple}
  return casts[type(old)](value) if type(old) in casts else value

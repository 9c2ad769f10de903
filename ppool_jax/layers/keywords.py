"""The keywords that a layer takes in a config: found by its signature, validated by their defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ppool_jax.utils.lookup import did_you_mean

REQUIRED = inspect.Parameter.empty
"""Stands for the default of a keyword that has none."""

_GEOMETRY = ("window_shape", "strides", "padding", "name", "parent")


def keywords_of(factory: Callable) -> dict[str, Any]:
  """The keywords of a Module class, a partial or a function, with their defaults or `REQUIRED`."""
  parameters = inspect.signature(factory).parameters.values()
  kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
  return {
    parameter.name: parameter.default
    for parameter in parameters
    if parameter.kind in kinds and parameter.name not in _GEOMETRY
  }


def check_keywords(what: str, name: str, kwargs: Mapping, known: Mapping) -> None:
  """Validates the keywords of a layer in a config.

  Args:
    what: the argument that they are given for, "pool" or "alpha", for the message.
    name: the layer's name.
    kwargs: the keywords that are set.
    known: all keywords with their defaults, or `REQUIRED`.

  Raises:
    TypeError: a keyword is unknown, a required one is missing, or a plain value has another type than the
      default.
  """
  for key in kwargs:
    if key not in known and not (key == "range_map" and callable(kwargs[key])):
      options = ", ".join(known) or "no options"
      raise TypeError(f"{what}: {name!r} takes {options}, got {key!r}{did_you_mean(key, known)}")
  kinds = {bool: bool, int: int, float: (int, float), str: str}
  for key, default in known.items():
    if default is REQUIRED and key not in kwargs:
      raise TypeError(f"{what}: {name!r} expects {key}=VALUE")
    value, kind = kwargs.get(key, default), kinds.get(type(default), object)
    if not isinstance(value, kind) or (type(value) is bool and type(default) in (int, float)):
      raise TypeError(f"{what}: {name!r}: {key}: expected {type(default).__name__}, got {value!r}")

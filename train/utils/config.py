"""Helpers for config files: arguments of get_config, and reading a file."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import types

import ml_collections

from ppool_jax.layers.spec import literal, split
from ppool_jax.utils.lookup import closest


def parse_arg(arg: str | None, **defaults) -> ml_collections.ConfigDict:
  """The arguments after the colon of --config=FILE:key=value,...

  Args:
    arg: "key=value,key=value", or None. A value is read as a Python literal, or else is a string; a
      key alone means True; "a+b" is a tuple of strings where the default is a tuple. Commas and plus
      signs within brackets belong to the value, as in "alpha=side_branch(initial=40,cap=90)".
    defaults: the keys that exist.

  Returns:
    A ConfigDict of the defaults with the values given.

  Raises:
    ValueError: a key that does not exist, with the nearest, or a value of another type.
  """
  values = dict(defaults)
  for item in split(arg or ""):
    key, equals, text = item.partition("=")
    if key not in defaults:
      raise ValueError(f"config argument: {unknown(key, defaults)}")
    values[key] = _value(key, text if equals else "True", defaults[key])
  return ml_collections.ConfigDict(values)


def _value(key: str, text: str, default):
  if isinstance(default, tuple):
    return tuple(split(text, "+"))
  if isinstance(default, str):
    return text
  value = literal(text)
  if not isinstance(value, type(default)):
    raise ValueError(f"config argument {key}: expected {type(default).__name__}, got {text!r}")
  return value


def unknown(key: str, known, what: str = "key") -> str:
  """A sentence that refuses `key`, a `what`, and names the nearest one."""
  near = closest(key, known, cutoff=0.5)
  hint = f"did you mean {near!r}?" if near else f"expected one of {', '.join(sorted(known))}"
  return f"unknown {what} {key!r}: {hint}"


def load(path: str) -> ml_collections.ConfigDict:
  """The config of "FILE.py:arguments", as --config reads it.

  Raises:
    FileNotFoundError: no such file.
    ImportError: the file raises when it is imported.
    ValueError: arguments that the file does not take.
  """
  file, _, arg = path.partition(":")
  return load_module(file, "--config", "configs/quickstart.py").get_config(arg or None)


def load_module(file: str, flag: str, example: str) -> types.ModuleType:
  """The module that a Python file is.

  Args:
    flag: that names the file, for messages.
    example: of such a file.

  Raises:
    FileNotFoundError: no such file.
    ImportError: it raises when it is imported.
  """
  if not file.endswith(".py") or not pathlib.Path(file).is_file():
    raise FileNotFoundError(f"{flag}: expected a Python file such as {example}, got {file!r}")
  spec = importlib.util.spec_from_file_location(f"config_file_{pathlib.Path(file).stem}", file)
  if spec is None or spec.loader is None:
    raise ImportError(f"{flag}: {file} has no loader")
  module = importlib.util.module_from_spec(spec)
  sys.modules[spec.name] = module  # dataclasses look themselves up there
  try:
    spec.loader.exec_module(module)
  except Exception as error:
    del sys.modules[spec.name]
    raise ImportError(f"{flag}: importing {file} raised {type(error).__name__}: {error}") from error
  return module

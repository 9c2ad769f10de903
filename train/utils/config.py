"""Parses the arguments of config files and imports config files."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import types

import ml_collections

from ppool_jax.layers.spec import literal, split
from ppool_jax.utils.lookup import closest


def parse_arg(arg: str | None, **defaults) -> ml_collections.ConfigDict:
  """Parses the arguments after the colon of --config=FILE:key=value,...

  Args:
    arg: "key=value,key=value", or None. A value is parsed as a Python literal if possible and is a string
      otherwise. A key without a value means True. Where the default is a tuple, "a+b" is a tuple of strings.
      Commas and plus signs within brackets belong to the value, as in "alpha=side_branch(initial=40,cap=90)".
    defaults: the accepted keys and their default values.

  Returns:
    A ConfigDict of the defaults, updated with the given values.

  Raises:
    ValueError: a key does not exist (the message suggests the closest), or a value has another type than
      the default.
  """
  values = dict(defaults)
  for item in split(arg or ""):
    key, equals, text = item.partition("=")
    if key not in defaults:
      raise ValueError(f"config argument: {unknown_name_message(key, defaults)}")
    values[key] = _parse_value(key, text if equals else "True", defaults[key])
  return ml_collections.ConfigDict(values)


def _parse_value(key: str, text: str, default):
  if isinstance(default, tuple):
    return tuple(split(text, "+"))
  if isinstance(default, str):
    return text
  value = literal(text)
  if not isinstance(value, type(default)):
    raise ValueError(f"config argument {key}: expected {type(default).__name__}, got {text!r}")
  return value


def unknown_name_message(key: str, known, what: str = "key") -> str:
  """An error message for the unknown `key`, which is a `what`; it suggests the closest known name."""
  near = closest(key, known, cutoff=0.5)
  hint = f"did you mean {near!r}?" if near else f"expected one of {', '.join(sorted(known))}"
  return f"unknown {what} {key!r}: {hint}"


def load_config(path: str) -> ml_collections.ConfigDict:
  """Loads the config of "FILE.py:arguments", as the flag --config does.

  Raises:
    FileNotFoundError: the file does not exist.
    ImportError: importing the file raises an error.
    ValueError: the file does not accept the arguments.
  """
  file, _, arg = path.partition(":")
  return load_module(file, "--config", "configs/quickstart.py").get_config(arg or None)


def load_module(file: str, flag: str, example: str) -> types.ModuleType:
  """Imports a Python file as a module.

  Args:
    flag: the command-line flag that named the file, for error messages.
    example: an example of a valid file, for error messages.

  Raises:
    FileNotFoundError: the file does not exist.
    ImportError: importing the file raises an error.
  """
  if not file.endswith(".py") or not pathlib.Path(file).is_file():
    raise FileNotFoundError(f"{flag}: expected a Python file such as {example}, got {file!r}")
  spec = importlib.util.spec_from_file_location(f"config_file_{pathlib.Path(file).stem}", file)
  if spec is None or spec.loader is None:
    raise ImportError(f"{flag}: {file} has no loader")
  module = importlib.util.module_from_spec(spec)
  sys.modules[spec.name] = module  # dataclasses look up their module there
  try:
    spec.loader.exec_module(module)
  except Exception as error:
    del sys.modules[spec.name]
    raise ImportError(f"{flag}: importing {file} raised {type(error).__name__}: {error}") from error
  return module

"""Helpers for config files: arguments of get_config, and overrides from the command line."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import pathlib

import ml_collections


def parse_arg(arg: str | None, **defaults):
  """The arguments after the colon of --config=FILE:key=value,...

  Args:
    arg: "key=value,key=value", or None. A value is read as a Python literal, or else is a string; a
      key alone means True; "a+b" is a tuple of strings where the default is a tuple.
    defaults: the keys that exist.

  Returns:
    A ConfigDict of the defaults with the values given.

  Raises:
    ValueError: a key that does not exist, with the nearest, or a value of another type.
  """
  values = dict(defaults)
  for item in filter(None, (arg or "").split(",")):
    key, _, text = item.partition("=")
    if key not in defaults:
      raise ValueError(f"config argument: {unknown(key, defaults)}")
    values[key] = _value(key, text or "True", defaults[key])
  return ml_collections.ConfigDict(values)


def _value(key: str, text: str, default):
  if isinstance(default, tuple):
    return tuple(text.split("+"))
  try:
    value = ast.literal_eval(text)
  except (ValueError, SyntaxError):
    value = text
  if isinstance(default, str):
    return text
  if not isinstance(value, type(default)):
    raise ValueError(f"config argument {key}: expected {type(default).__name__}, got {text!r}")
  return value


def unknown(key: str, known) -> str:
  """A sentence that refuses `key` and names the nearest one."""
  near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
  hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(sorted(known))}"
  return f"unknown key {key!r}: {hint}"


def load(path: str) -> ml_collections.ConfigDict:
  """The config of "FILE.py:arguments", as --config reads it.

  Raises:
    FileNotFoundError: no such file.
    ValueError: arguments that the file does not take.
  """
  file, _, arg = path.partition(":")
  if not file.endswith(".py") or not pathlib.Path(file).is_file():
    raise FileNotFoundError(f"--config: expected a Python file such as configs/quickstart.py, got {file!r}")
  spec = importlib.util.spec_from_file_location(pathlib.Path(file).stem, file)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(arg or None)


def check_overrides(arguments: list[str]) -> None:
  """Refuses --config.field=value for a field that the config does not have.

  ml_collections would refuse it too, with a stack of calls.

  Raises:
    ValueError: with the nearest field's name.
  """
  flags = [argument.lstrip("-").split("=", 1) for argument in arguments if argument.startswith("-")]
  paths = [flag[1] for flag in flags if flag[0] == "config" and len(flag) == 2]
  if not paths:
    return
  config = load(paths[-1])
  for name, *_ in flags:
    node, *keys = name.split(".")
    if node != "config" or not keys:
      continue
    at = config
    for depth, key in enumerate(keys):
      key = key.split("[")[0]
      if not isinstance(at, ml_collections.ConfigDict) or key not in at:
        known = at.keys() if isinstance(at, ml_collections.ConfigDict) else ()
        raise ValueError(f"--{'.'.join([node, *keys[: depth + 1]])}: {unknown(key, known)}")
      at = at[key]
